"""The connection to MLflow: quiet, without telemetry, without pickle, and with errors a user can act on."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tmu.errors import StorageError
from tmu.stores.lock import locked

if TYPE_CHECKING:
    from mlflow import MlflowClient

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # MLflow's two answers to an unknown alias
_SWITCHES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",  # would copy whatever pyproject.toml lies in the working folder
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",  # else straight from S3, and tried again for minutes
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # seconds; a server that hangs must not hold a deletion for minutes
}


def connect(uri: str, lock: Path, database: Path | None = None) -> "MlflowClient":
    """A client for `uri`, which is both tracking store and registry; a SQLite file is made on first use.

    database: the workspace's own SQLite file, in which no address may name a folder (`mlflow_place`).
    """
    quiet()
    from mlflow import MlflowClient

    from tmu.stores.mlflow_place import relocate

    with locked(lock):  # two processes that make the tables of a new SQLite file at once break it
        client = MlflowClient(uri, uri)
        client.search_experiments(max_results=1)
        if database is not None:
            relocate(database)
    return client


def ambient() -> "MlflowClient":
    """A client for the MLflow that MLFLOW_TRACKING_URI, or the program at hand, names."""
    quiet()
    from mlflow import MlflowClient

    return MlflowClient()


def quiet() -> None:
    """Set MLflow's switches before its first import, unless the user did, and keep its notices off the terminal."""
    for switch, value in _SWITCHES.items():
        os.environ.setdefault(switch, value)
    import mlflow  # noqa: F401 - its import sets the loggers' levels, which are then lowered

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


@contextmanager
def refusals() -> Iterator[None]:
    """Errors of MLflow and of its database become `StorageError`."""
    quiet()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    hint = "Check that it is reachable and not full, then run the same command again."
    try:
        yield
    except MlflowException as error:
        what = (str(error).splitlines() or [""])[0]
        raise StorageError(f"MLflow refused ({error.error_code}): {what}", hint) from error
    except SQLAlchemyError as error:
        raise StorageError(f"MLflow's database refused: {type(error).__name__}.", hint) from error


@contextmanager
def absent_is_fine() -> Iterator[None]:
    """What MLflow does not have any more needs no deleting."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
