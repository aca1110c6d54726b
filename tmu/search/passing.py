"""Whether the cause why something could not be looked at may pass: another look, later, may succeed.

A store that is away answers again, and a file that went while it was looked at is not asked for again. A wrong
password, a right that is missing, or a file that is cut stay as they are.
"""

import sqlite3

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as NotConnectedError
from sqlalchemy import exc

_BUSY = ("the database system is", "too many clients", "remaining connection slots")
"""What a PostgreSQL server that starts, stops or is full says to who connects; any other refusal stays."""
_ENDED = ("08", "53", "57P")
"""How SQLSTATE begins where a connection, memory or the server itself went (PostgreSQL, appendix A)."""
_OF_MLFLOW = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE")
"""Codes of an MLflow server that does not answer, or not with what was asked for."""


def may_pass(error: BaseException) -> bool:
    """Whether another look may succeed where this one failed."""
    if isinstance(error, exc.DBAPIError):
        return _database_may(error)
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or status == 429
    if isinstance(error, BotoCoreError):
        return isinstance(error, NotConnectedError | HTTPClientError | IncompleteReadError)
    if getattr(error, "error_code", None) in _OF_MLFLOW:
        return True
    if isinstance(error, ConnectionError | TimeoutError | FileNotFoundError):
        return True
    return error.__cause__ is not None and may_pass(error.__cause__)


def _database_may(error: exc.DBAPIError) -> bool:
    if isinstance(error.orig, sqlite3.Error) or not isinstance(error, exc.OperationalError | exc.InterfaceError):
        return error.connection_invalidated
    state = getattr(error.orig, "sqlstate", None)
    if state:
        return str(state).startswith(_ENDED)
    said = str(error.orig)
    return "FATAL" not in said or any(each in said for each in _BUSY)
