"""`tmu-workspace:`: artifacts are found beside the database in use, and old addresses are rewritten once."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from tmu.models.bundle import Arch, save_bundle
from tmu.stores.mlflow import ModelRegistry
from tmu.stores.mlflow_place import WorkspaceArtifacts, relocate

ARCH = Arch("small_resnet", (1, 8, 8), ("a", "b"), {"width": 4})
COLUMNS = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}


def registered(root: Path) -> ModelRegistry:
    registry = ModelRegistry(None, root)
    save_bundle(root / "b", ARCH.build(), ARCH, {})
    facts = {"role": "gold", "params": {}, "tags": {}, "metrics": {}, "data_digest": "0", "n_records": {"train": 1}}
    registry.register(root / "b", dataset="d", **facts)
    return registry


def addresses(root: Path) -> list[str]:
    with closing(sqlite3.connect(root / ".tmu" / "mlflow.db")) as connection:
        found = [connection.execute(f"SELECT {column} FROM {table}").fetchall() for table, column in COLUMNS.items()]
    return [address for rows in found for (address,) in rows]


def test_no_address_names_a_folder(tmp_path: Path) -> None:
    registered(tmp_path)
    assert len(addresses(tmp_path)) == 5  # the default experiment, ours, and one of each else
    assert all(address.startswith("tmu-workspace:/") for address in addresses(tmp_path))
    assert (tmp_path / ".tmu" / "mlartifacts" / "tmu-d" / "models").is_dir()


def test_addresses_of_an_older_tmu_are_rewritten_and_lead_to_the_files(tmp_path: Path) -> None:
    made = tmp_path / "made"
    version = registered(made).versions("d")[0]
    former = (made / ".tmu" / "mlartifacts").as_uri()
    with closing(sqlite3.connect(made / ".tmu" / "mlflow.db")) as connection, connection:
        for table, column in COLUMNS.items():
            connection.execute(f"UPDATE {table} SET {column} = replace({column}, 'tmu-workspace:', ?)", (former,))
        connection.execute("UPDATE experiments SET artifact_location = '/tmp/x/mlruns/0' WHERE experiment_id = 0")
    moved = Path(shutil.move(made, tmp_path / "moved"))
    assert str(made) in str(addresses(moved))
    with ModelRegistry(None, moved).stored(version) as bundle:
        assert (bundle / "weights.safetensors").is_file()
    assert all(address.startswith("tmu-workspace:/") for address in addresses(moved))
    assert relocate(moved / ".tmu" / "mlflow.db") == 0  # nothing is left to do


def test_an_address_of_somewhere_else_is_left_alone(tmp_path: Path) -> None:
    registry = ModelRegistry(None, tmp_path, "s3://bucket/mlflow")
    with registry.connected() as client:
        registry.experiment_of(client, "d")
    ModelRegistry(None, tmp_path).versions("d")
    assert addresses(tmp_path) == ["tmu-workspace:/0", "s3://bucket/mlflow/tmu-d"]


@pytest.mark.parametrize("address", ["tmu-workspace:/../x", "tmu-workspace:/a/../../../x", "tmu-workspace://../../x"])
def test_an_address_that_leaves_the_workspace_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(mlflow.MlflowException, match="leaves the workspace"):
        WorkspaceArtifacts(address, f"sqlite:///{tmp_path}/.tmu/mlflow.db")


def test_without_the_database_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: "http://127.0.0.1:9")
    with pytest.raises(mlflow.MlflowException, match="MLFLOW_TRACKING_URI must name"):
        get_artifact_repository("tmu-workspace:/tmu-d", tracking_uri="http://127.0.0.1:9")


def test_two_workspaces_in_one_process_keep_their_files_apart(tmp_path: Path) -> None:
    """MLflow's client remembers an artifact store by the run's id, which a copy shares with its original."""
    first = registered(tmp_path / "first")
    version = first.versions("d")[0]
    first.log_files(version, tmp_path / "first" / "b", "before")
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    ModelRegistry(None, tmp_path / "second").log_files(version, tmp_path / "first" / "b", "after")
    assert list((tmp_path / "second").rglob("after"))
    assert not list((tmp_path / "first").rglob("after"))
