"""What registration and promotion need is asked before anything is erased: each cause by name, and nothing written."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.conftest import QUICK, make_workspace
from tmu.data.digest import manifest
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.errors import ConfigError, StorageError
from tmu.steps.acknowledge import acknowledge
from tmu.steps.loading import data_ref
from tmu.steps.plan import plan_deletion
from tmu.steps.preflight import check_stores
from tmu.steps.promote_model import promote_model
from tmu.steps.register_model import register_model
from tmu.steps.train_model import train_original
from tmu.stores import mlflow_ready
from tmu.workspace import Workspace


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """One with a model in service."""
    workspace = make_workspace(tmp_path_factory.mktemp("made") / "w", train=QUICK["train"] | {"epochs": 1})
    data = data_ref(workspace)
    model = train_original(workspace, data, workspace.params)
    version = register_model(workspace, data, model, workspace.params)
    promote_model(workspace, data, version.version)
    shutil.copytree(workspace.root, workspace.root.with_name("kept"), symlinks=True)
    return workspace


@pytest.fixture
def workspace(made: Workspace) -> Iterator[Workspace]:
    """It, put back to what it was after each test. MLflow's file keeps its place: the connections to it stay open."""
    yield Workspace.open(made.root)
    kept, database = made.root.with_name("kept"), Path(".tmu", "mlflow.db")
    with sqlite3.connect(kept / database) as whole, sqlite3.connect(made.root / database) as broken:
        whole.backup(broken)
    for path in sorted(made.root.rglob("*"), reverse=True):
        if path.is_file() and not path.name.startswith("mlflow.db"):
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    shutil.copytree(kept, made.root, ignore=shutil.ignore_patterns("mlflow.db*"), dirs_exist_ok=True, symlinks=True)


def client(workspace: Workspace) -> object:
    from mlflow import MlflowClient

    return MlflowClient(workspace.registry.uri, workspace.registry.uri)


def in_service(workspace: Workspace) -> object:
    return client(workspace).get_model_version_by_alias("tmu-digits", "champion")


def another_version(workspace: Workspace, tags: dict[str, str]) -> str:
    import mlflow

    found = in_service(workspace)
    mlflow.set_tracking_uri(workspace.registry.uri)  # where MLflow looks the version's model up
    try:
        made = client(workspace).create_model_version("tmu-digits", found.source, run_id=found.run_id, tags=tags)
    finally:
        mlflow.set_tracking_uri(None)
    return made.version


def experiment_deleted(workspace: Workspace) -> None:
    found = client(workspace).get_experiment_by_name("tmu-digits")
    client(workspace).delete_experiment(found.experiment_id)


def run_deleted(workspace: Workspace) -> None:
    client(workspace).delete_run(in_service(workspace).run_id)


def version_deleted(workspace: Workspace) -> None:
    """Of two, so that it can be seen that something is missing."""
    found = in_service(workspace)
    another_version(workspace, found.tags | {"role": "gold"})
    client(workspace).delete_model_version("tmu-digits", found.version)


def foreign_version(workspace: Workspace) -> None:
    client(workspace).set_registered_model_alias("tmu-digits", "champion", another_version(workspace, {}))


def blocked_version(workspace: Workspace) -> None:
    workspace.registry.block("digits", workspace.registry.get_alias("digits", "champion"))


def other_revision(workspace: Workspace) -> None:
    found = in_service(workspace)
    client(workspace).set_model_version_tag("tmu-digits", found.version, "data_revision", f"{'0' * 32}.dir")


def a_file_in_the_place_of(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file where a folder should be")


def no_artifact_store(workspace: Workspace) -> None:
    a_file_in_the_place_of(workspace.state("artifacts"))


def no_mlflow_artifacts(workspace: Workspace) -> None:
    a_file_in_the_place_of(workspace.state("mlartifacts", "tmu-digits"))


def no_bundle(workspace: Workspace) -> None:
    shutil.rmtree(workspace.state("artifacts", "model"))


def no_cache(workspace: Workspace) -> None:
    a_file_in_the_place_of(workspace.root / ".dvc" / "cache")


@contextmanager
def locked_database(workspace: Workspace) -> Iterator[None]:
    database = sqlite3.connect(workspace.state("mlflow.db"), isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    yield
    database.execute("ROLLBACK")
    database.close()


FAULTS = {
    "experiment deleted": (
        experiment_deleted,
        ConfigError,
        "experiment `tmu-digits` is deleted",
        "experiments restore",
    ),
    "run deleted": (run_deleted, ConfigError, "has a deleted run", "runs restore --run-id"),
    "version missing": (version_deleted, ConfigError, "No version of `tmu-digits` has the alias", "Restore it"),
    "alias on a foreign version": (foreign_version, ConfigError, "was not made by tmu", "Restore the right one"),
    "alias on a blocked version": (blocked_version, ConfigError, "is blocked", "Restore the right one"),
    "alias on another revision": (other_revision, ConfigError, "belongs to another data revision", "train again"),
    "artifact store": (no_artifact_store, StorageError, "cannot be written", "in its place"),
    "MLflow's artifacts": (no_mlflow_artifacts, StorageError, "MLflow's artifact store cannot be", "is writable"),
    "bundle missing": (no_bundle, StorageError, "no sound artifact", "Run the step"),
    "DVC's cache": (no_cache, StorageError, "cannot be written", "in its place"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_before_anything_is_erased(workspace: Workspace, fault: str) -> None:
    asked = Asked.of([workspace.keys(simulated=True).subject("contributor-005")], [])
    plan, before = plan_deletion(workspace, asked), manifest(workspace.data)
    breaks, kind, words, fix = FAULTS[fault]
    breaks(workspace)
    with pytest.raises(kind, match=words) as refused:
        acknowledge(Workspace.open(workspace.root), plan, asked)
    assert fix in refused.value.hint
    assert Journal(workspace).all() == []
    assert manifest(workspace.data) == before


def test_a_locked_database_is_named(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    check_stores(workspace)
    monkeypatch.setattr(mlflow_ready, "_SECONDS", 0.1)
    with locked_database(workspace), pytest.raises(StorageError, match=r"mlflow\.db is locked by another process"):
        check_stores(workspace)
    check_stores(workspace)


def test_a_look_leaves_nothing_behind(workspace: Workspace) -> None:
    check_stores(workspace)
    before = sorted(path for path in workspace.root.rglob("*") if path.is_file())
    runs = [run.info.run_id for run in client(workspace).search_runs(["1"])]
    check_stores(workspace)
    assert sorted(path for path in workspace.root.rglob("*") if path.is_file()) == before
    assert [run.info.run_id for run in client(workspace).search_runs(["1"])] == runs


def test_a_new_workspace_has_all_that_a_first_deletion_needs(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "w")
    check_stores(workspace)
