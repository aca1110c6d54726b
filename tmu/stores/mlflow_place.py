"""`tmu-workspace:/…`: where the artifacts of an embedded MLflow lie, told without naming a folder.

MLflow keeps an absolute address of every artifact. For the SQLite file in a workspace that would be the folder in which
it was made: after `mv` nothing is found, after `cp -r` the copy reads and writes the original. This scheme is resolved
beside the SQLite file that is in use, whatever folder that is in: `.tmu/mlflow.db` and `.tmu/mlartifacts`. MLflow finds
it by the entry point group `mlflow.artifact_repository`, so its own pages and `mlflow.pyfunc` follow it as well.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from tmu.stores.mlflow_gone import refusal

SCHEME = "tmu-workspace"
FOLDER = "mlartifacts"
_SQLITE = "sqlite:///"
_SERVER = "_MLFLOW_SERVER_FILE_STORE"  # what `mlflow server` tells its workers of its database
_FORMER = f"/.tmu/{FOLDER}/"
_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


class WorkspaceArtifacts(LocalArtifactRepository):
    """MLflow's local artifacts, in the folder beside the database that `tracking_uri` (or MLflow's own) names."""

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        purged = refusal(artifact_uri)
        if purged is not None:
            raise MlflowException(purged, error_code=RESOURCE_DOES_NOT_EXIST)
        inside = artifact_uri.removeprefix(f"{SCHEME}:").lstrip("/")
        home = _home(tracking_uri) / FOLDER
        folder = (home / inside).resolve()
        if not folder.is_relative_to(home.resolve()):
            raise MlflowException.invalid_parameter_value(f"{artifact_uri} leaves the workspace.")
        super().__init__(folder.as_uri(), tracking_uri, registry_uri)


def relocate(database: Path) -> int:
    """Rewrite the addresses that an older tmu, or MLflow by default, noted as folders; returns how many.

    One transaction, and nothing at all where none is left. Every run and model has the address of its experiment, so
    the experiments tell whether there is any.
    """
    with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
        former = "SELECT count(*) FROM experiments WHERE artifact_location NOT LIKE ? AND {}"
        ours = f"(experiment_id = 0 OR artifact_location LIKE '%{_FORMER}%')"
        if not connection.execute(former.format(ours), (f"{SCHEME}:%",)).fetchone()[0]:
            return 0
        connection.create_function("relocated", 1, _relocated, deterministic=True)
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            changed = connection.execute(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = 0", (f"{SCHEME}:/0",)
            ).rowcount
            for table, column in _COLUMNS:
                update = f"UPDATE {table} SET {column} = relocated({column}) WHERE {column} LIKE '%{_FORMER}%'"
                changed += connection.execute(update).rowcount
    return changed


def _relocated(address: str) -> str:
    return f"{SCHEME}:/{address.rpartition(_FORMER)[2]}"


def _home(tracking_uri: str | None) -> Path:
    """The folder of the SQLite file in use."""
    for uri in (tracking_uri, mlflow.get_tracking_uri(), os.environ.get(_SERVER)):
        if uri and uri.startswith(_SQLITE):
            return Path(uri.removeprefix(_SQLITE).partition("?")[0]).resolve().parent
    raise MlflowException.invalid_parameter_value(
        "These artifacts lie in a tmu workspace: MLFLOW_TRACKING_URI must name its .tmu/mlflow.db (sqlite:///…)."
    )
