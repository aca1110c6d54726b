"""What may pass is told from what stays, by the errors that stores, drivers and files really give."""

import socket
import sqlite3

import pytest
import sqlalchemy as sa
from botocore.exceptions import ClientError, EndpointConnectionError, IncompleteReadError, NoCredentialsError
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from sqlalchemy import exc

from tmu.search.passing import may_pass


def refused(said: str, state: str | None = None, kind: type[exc.DBAPIError] = exc.OperationalError) -> exc.DBAPIError:
    """What SQLAlchemy raises for an error of psycopg's."""
    original = Exception(f'connection failed: connection to server at "127.0.0.1" failed: {said}')
    original.sqlstate = state
    return kind("SELECT 1", None, original)


def answered(status: int) -> ClientError:
    return ClientError({"Error": {"Code": "x"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")


def because(error: Exception) -> OSError:
    made = OSError("the registry")
    made.__cause__ = error
    return made


PASSES = {
    "no server": refused("Connection refused"),
    "it starts": refused("FATAL:  the database system is starting up"),
    "it is full": refused("FATAL:  sorry, too many clients already"),
    "the server was killed": refused("server closed the connection unexpectedly"),
    "another process of it crashed": refused("terminating connection", "57P02"),
    "a connection went": refused("the connection is closed", kind=exc.InterfaceError),
    "S3 answers 503": answered(503),
    "S3 is busy": answered(429),
    "S3 is away": EndpointConnectionError(endpoint_url="http://s3"),
    "S3 stops in the middle": IncompleteReadError(actual_bytes=1, expected_bytes=2),
    "MLflow is away": MlflowException("API request failed with exception"),
    "a file went": FileNotFoundError("x"),
    "a connection was reset": ConnectionResetError(),
    "its cause may pass": because(MlflowException("API request failed")),
}
STAYS = {
    "a wrong password": refused('FATAL:  password authentication failed for user "x"'),
    "no such database": refused('FATAL:  database "x" does not exist'),
    "no right to a table": refused("permission denied", "42501", exc.ProgrammingError),
    "a locked SQLite": exc.OperationalError("SELECT 1", None, sqlite3.OperationalError("database is locked")),
    "S3 forbids": answered(403),
    "no such bucket": answered(404),
    "no credentials": NoCredentialsError(),
    "MLflow refuses": MlflowException("no", error_code=INVALID_PARAMETER_VALUE),
    "a file is closed": PermissionError("x"),
    "a file is cut": ValueError("x"),
    "its cause stays": because(MlflowException("no", error_code=INVALID_PARAMETER_VALUE)),
}


@pytest.mark.parametrize("name", PASSES)
def test_another_look_may_succeed(name: str) -> None:
    assert may_pass(PASSES[name])


@pytest.mark.parametrize("name", STAYS)
def test_another_look_would_fail_as_well(name: str) -> None:
    assert not may_pass(STAYS[name])


def test_a_server_that_is_not_there_may_come_back() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    engine = sa.create_engine(f"postgresql+psycopg://u@127.0.0.1:{port}/x")
    with pytest.raises(exc.OperationalError) as caught:
        engine.connect()
    assert may_pass(caught.value)
