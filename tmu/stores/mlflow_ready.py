"""Whether MLflow will take what a deletion registers at its end. Asked before anything is erased; each cause by name.

What is written on the way is removed again, or overwritten by the next call.
"""

import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tmu.errors import ConfigError, StorageError
from tmu.provenance import now
from tmu.stores.mlflow_gone import PURGED
from tmu.stores.mlflow_versions import model_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment
    from mlflow.entities.model_registry import ModelVersion

_PROBE = "preflight"
_OURS = ("role", "weights_sha256", "data_revision", "artifact")
_SECONDS = 5
"""For another process to finish its write."""


def refuse_locked(uri: str) -> None:
    """Raise StorageError where the SQLite file of `uri` cannot be written now. Nothing is asked of other databases."""
    path = Path(urlsplit(uri).path)
    if not uri.startswith("sqlite:") or not path.exists():
        return
    try:
        database = sqlite3.connect(path, timeout=_SECONDS, isolation_level=None)
        try:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
        finally:
            database.close()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise StorageError(
                f"MLflow's database {path.name} is locked by another process.",
                "End that process, such as an MLflow server that hangs, and run the same command again.",
            ) from error
        raise StorageError(
            f"MLflow's database {path.name} cannot be written ({error}).",
            "Check the permissions of the file and of its folder, and run the same command again.",
        ) from error


def refuse_deleted_experiment(found: "Experiment | None") -> None:
    """Raise ConfigError where somebody deleted the dataset's experiment: it takes no run."""
    if found is not None and found.lifecycle_stage != "active":
        raise ConfigError(
            f"MLflow's experiment `{found.name}` is deleted: no run can be made in it.",
            f"Restore it: `mlflow experiments restore --experiment-id {found.experiment_id}`.",
        )


def refuse_unwritable(client: "MlflowClient", uri: str, experiment: "Experiment") -> None:
    """Raise StorageError where the experiment takes no entries, or its artifact store no files."""
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    client.set_experiment_tag(experiment.experiment_id, f"tmu.{_PROBE}", now())
    try:
        store = get_artifact_repository(f"{experiment.artifact_location}/{_PROBE}", uri, uri)
        with tempfile.TemporaryDirectory() as folder:
            probe = Path(folder, _PROBE)
            probe.write_text(_PROBE)
            store.log_artifact(str(probe))
        store.delete_artifacts()
    except (MlflowException, OSError) as error:
        raise StorageError(
            f"MLflow's artifact store cannot be written ({type(error).__name__}).",
            "Check that its folder or bucket exists, is writable and is not full, and run the same command again.",
        ) from error


def refuse_bad_champion(client: "MlflowClient", dataset: str) -> None:
    """Raise ConfigError where the version in service is not what a deletion can start from and be registered beside."""
    version = _champion(client, dataset)
    if version is None:
        return
    name = f"Version {version.version} of `{version.name}`, which the alias `champion` names,"
    again = "Restore the right one: `tmu show versions` lists them; or train again: `tmu train original --register`."
    if any(tag not in version.tags for tag in _OURS):
        raise ConfigError(f"{name} was not made by tmu.", again)
    if version.tags.get("serving") in ("blocked", PURGED):
        raise ConfigError(f"{name} is {version.tags['serving']}: it knows records that were erased.", again)
    _refuse_gone(client, version, name)


def _champion(client: "MlflowClient", dataset: str) -> "ModelVersion | None":
    """The version in service, or None before the first. Raises ConfigError where there was one and it is gone."""
    from mlflow.exceptions import MlflowException

    name = model_name(dataset)
    try:
        return client.get_model_version_by_alias(name, "champion")
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
    left = client.search_model_versions(f"name = '{name}'", max_results=100)
    if any(each.tags.get("role") != "original" for each in left):
        raise ConfigError(
            f"No version of `{name}` has the alias `champion`, though deletions were registered: it was removed, or "
            "its version was deleted.",
            "Restore it: `tmu show versions` lists what there is; or train again: `tmu train original --register`.",
        )
    return None


def _refuse_gone(client: "MlflowClient", version: "ModelVersion", name: str) -> None:
    """Raise ConfigError where the version's run was deleted: the audit's numbers are written to it."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(version.run_id)
    except MlflowException as error:
        raise ConfigError(f"{name} has no run any more.", "Train again: `tmu train original --register`.") from error
    if run.info.lifecycle_stage != "active":
        raise ConfigError(f"{name} has a deleted run.", f"Restore it: `mlflow runs restore --run-id {version.run_id}`.")
