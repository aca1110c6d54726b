"""The place MLflow, embedded: what learned the records goes everywhere, what did not stays byte for byte."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
import torch
from mlflow.exceptions import MlflowException

from tests.purge_tools import erased, scope
from tmu import serving
from tmu.config import PurgeConfig, Retention
from tmu.data.info import SplitRule, StoreInfo, write_info
from tmu.errors import DataError, StorageError
from tmu.lineage.served import served, served_elsewhere
from tmu.models.bundle import Arch, save_bundle
from tmu.purge.places.mlflow import places
from tmu.purge.scope import Scope
from tmu.purge.trace import Action
from tmu.stores.mlflow_versions import Version
from tmu.workspace import Workspace

ARCH = Arch("small_resnet", (1, 8, 8), ("a", "b", "c"), {"width": 4})
RULE = Retention(role="gold", days=30, why="Retrained beside, for the audit.")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "w")


def registered(workspace: Workspace, seed: int, role: str, revision: str = "old.dir") -> Version:
    folder = workspace.root.parent / f"bundle{seed}"
    torch.manual_seed(seed)
    save_bundle(folder, ARCH.build(), ARCH, {"seed": seed})
    facts = {"params": {"seed": seed}, "tags": {}, "metrics": {"seconds": 1.0}, "n_records": {"train": 10 + seed}}
    return workspace.registry.register(folder, dataset="d", role=role, data_digest=revision, **facts)


def about(workspace: Workspace, *learned: Version, rules: tuple[Retention, ...] = ()) -> Scope:
    known = tuple(version.weights_sha256 for version in learned)
    return scope(erased(workspace, PurgeConfig(keep=rules))).model_copy(update={"learned": known})


def found(workspace: Workspace, scope: Scope) -> list[tuple[str, str]]:
    place, _ = places(workspace)
    return [(trace.address, trace.action.value) for trace in place.find(scope)]


def purge(workspace: Workspace, scope: Scope) -> None:
    place, _ = places(workspace)
    for trace in list(place.find(scope)):
        if not trace.stays:
            place.purge(scope, trace)
            place.purge(scope, trace)  # once more is no error


def rows(workspace: Workspace, table: str) -> list[tuple]:
    with sqlite3.connect(workspace.state("mlflow.db")) as database:
        return sorted(database.execute(f"SELECT * FROM {table}").fetchall(), key=repr)


def content(workspace: Workspace, version: Version) -> dict[str, bytes]:
    folder = workspace.state("mlartifacts", "tmu-d", "models", version.model_id)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_learned_the_records_goes_and_the_rest_stays(workspace: Workspace) -> None:
    old, new = registered(workspace, 0, "original"), registered(workspace, 1, "unlearned", "new.dir")
    workspace.registry.set_alias("d", "original", old)
    workspace.registry.set_alias("d", "champion", new)
    before, request = content(workspace, new), about(workspace, old)
    assert [address for address, _ in found(workspace, request)] == [
        "models:/tmu-d@original",
        "models:/tmu-d/1",
        f"tmu-workspace:/tmu-d/models/{old.model_id}",
        f"models:/{old.model_id}",
        f"runs:/{old.run_id}",
    ]
    purge(workspace, request)
    assert found(workspace, request) == []
    assert content(workspace, old) == {} and content(workspace, new) == before != {}
    raw = workspace.state("mlflow.db").read_bytes()
    assert [raw.count(id_.encode()) for id_ in (old.model_id, old.run_id)] == [0, 0]
    assert b"old.dir" in raw  # the stub names its revision, and no row of a dataset does
    assert [row[3] for row in rows(workspace, "datasets")] == ["new.dir"]
    assert len(rows(workspace, "inputs")) == 2 and raw.count(new.run_id.encode()) > 0
    with workspace.registry.stored(new) as bundle:
        assert (bundle / "weights.safetensors").is_file()
    assert workspace.registry.get_alias("d", "champion") == new


def test_what_serves_another_data_set_of_the_same_mlflow_stays(workspace: Workspace) -> None:
    theirs = registered(workspace, 0, "unlearned")
    workspace.registry.set_alias("d", "champion", theirs)
    workspace.data.mkdir()
    write_info(workspace.data, StoreInfo(
        reader="r", dataset="another", shape=(1, 8, 8), classes=("a", "b"), n_buckets=4, key_id="k", simulated=True,
        split_rule=SplitRule(),
    ))  # fmt: skip
    request, before = about(workspace, theirs), content(workspace, theirs)
    assert served(workspace) == frozenset() and served_elsewhere(workspace) == {theirs.weights_sha256}
    purge(workspace, request)
    assert content(workspace, theirs) == before and workspace.registry.get_alias("d", "champion") == theirs
    workspace.registry.set_alias("d", "champion", registered(workspace, 1, "unlearned"))
    purge(workspace, request)
    assert content(workspace, theirs) == {}


def test_a_stub_says_what_became_of_it(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    old, request = registered(workspace, 0, "original"), about(workspace, registered(workspace, 0, "original"))
    monkeypatch.setattr("tmu.stores.mlflow_purge.now", lambda: "2026-03-01T10:00:00+00:00")
    purge(workspace, request)
    said = f"tmu-d, version 1, was purged on 2026-03-01 for deletion {request.request}"
    left = workspace.registry.find("models:/tmu-d/1")
    assert (left.purged, left.weights_sha256, left.run_id, left.files_sha256) == (True, old.weights_sha256, "", None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", workspace.registry.uri)
    with pytest.raises(DataError, match=said):
        serving.load_model("models:/tmu-d/1")
    with pytest.raises(DataError, match=said):
        serving.load_model("models:/tmu-d/1", home=workspace.root)
    mlflow.set_tracking_uri(workspace.registry.uri)
    try:
        with pytest.raises(MlflowException, match="tmu-d, version 1, was purged"):
            mlflow.pyfunc.load_model("models:/tmu-d/1")
    finally:
        mlflow.set_tracking_uri(None)


@pytest.mark.parametrize("done", range(5))
def test_a_purge_that_was_cut_short_goes_on(workspace: Workspace, done: int) -> None:
    old = registered(workspace, 0, "original")
    workspace.registry.set_alias("d", "original", old)
    request, (place, _) = about(workspace, old), places(workspace)
    for trace in list(place.find(request))[:done]:
        place.purge(request, trace)
    assert found(workspace, request)
    purge(workspace, request)
    assert found(workspace, request) == [] and content(workspace, old) == {}


def test_what_is_kept_by_rule_is_blocked(workspace: Workspace) -> None:
    gold = registered(workspace, 0, "gold")
    request = about(workspace, gold, rules=(RULE,))
    place, _ = places(workspace)
    assert [trace.action for trace in place.find(request)][:2] == [Action.REWRITE, Action.KEEP]
    purge(workspace, request)
    left = list(place.find(request))
    assert {trace.action for trace in left} == {Action.KEEP} and {trace.why for trace in left} == {RULE.why}
    assert all(trace.until for trace in left) and len(left) == 4
    with pytest.raises(DataError, match="is blocked"):
        serving.load_model("models:/tmu-d/1", home=workspace.root)
    assert content(workspace, gold)


def test_what_serves_and_what_others_deleted_stays(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """`mlflow gc` would take the second model's run and the third model, which somebody marked as deleted."""
    old, mine, other = (registered(workspace, seed, "gold") for seed in range(3))
    with workspace.registry.connected() as client:
        client.delete_run(mine.run_id)
        client.delete_logged_model(other.model_id)
    request = about(workspace, old, mine)
    monkeypatch.setattr("tmu.lineage.served.served", lambda _: frozenset([mine.weights_sha256]))
    purge(workspace, request)
    assert found(workspace, request) == [] and content(workspace, old) == {}
    assert content(workspace, mine) and content(workspace, other)
    with workspace.registry.connected() as client:
        client.restore_run(mine.run_id)
    assert other.model_id in workspace.state("mlflow.db").read_bytes().decode(errors="replace")


def test_what_was_marked_as_deleted_is_found(workspace: Workspace) -> None:
    old = registered(workspace, 0, "original")
    with workspace.registry.connected() as client:
        client.delete_model_version("tmu-d", "1")
        client.delete_logged_model(old.model_id)
        client.delete_run(old.run_id)
    request = about(workspace, old)
    assert len(found(workspace, request)) == 4
    purge(workspace, request)
    assert found(workspace, request) == [] and content(workspace, old) == {}
    raw = workspace.state("mlflow.db").read_bytes()
    assert [raw.count(id_.encode()) for id_ in (old.model_id, old.run_id)] == [0, 0]


def test_files_without_rows_are_found_by_their_weights(workspace: Workspace) -> None:
    old, new = registered(workspace, 0, "original"), registered(workspace, 1, "unlearned")
    request = about(workspace, old)
    place, _ = places(workspace)
    for trace in list(place.find(request)):
        if not trace.address.startswith("tmu-workspace:"):
            place.purge(request, trace)
    assert found(workspace, request) == [(f"tmu-workspace:/tmu-d/models/{old.model_id}", "destroy")]
    purge(workspace, request)
    assert found(workspace, request) == [] and content(workspace, new)


def test_a_run_with_another_model_stays(workspace: Workspace) -> None:
    old = registered(workspace, 0, "original")
    with workspace.registry.connected() as client:
        experiment = client.get_run(old.run_id).info.experiment_id
        client.create_logged_model(experiment, "x", source_run_id=old.run_id, tags={"weights_sha256": "0" * 64})
    request = about(workspace, old)
    assert not any(address.startswith("runs:/") for address, _ in found(workspace, request))


def test_an_address_of_more_than_one_model_is_refused(workspace: Workspace) -> None:
    registered(workspace, 0, "original")
    place, _ = places(workspace)
    for address in ("tmu-workspace:/tmu-d", "tmu-workspace:/tmu-d/models", "tmu-workspace:/", "s3://bucket/"):
        with pytest.raises(StorageError, match="not one of a single model"):
            place._parts[1].destroy(address)


def test_where_nothing_was_registered_nothing_is_made(workspace: Workspace) -> None:
    request = scope(erased(workspace)).model_copy(update={"learned": ("0" * 64,)})
    assert found(workspace, request) == [] and not workspace.state("mlflow.db").exists()


def test_purged_weights_do_not_come_back(workspace: Workspace) -> None:
    old = registered(workspace, 0, "original")
    purge(workspace, about(workspace, old))
    with pytest.raises(DataError, match="version 1, was purged"):
        registered(workspace, 0, "original")
    with pytest.raises(DataError, match="version 1, was purged"):
        registered(workspace, 0, "gold", "new.dir")


def test_copies_in_the_temporary_folder_are_found_by_their_weights(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = registered(workspace, 0, "original"), registered(workspace, 1, "unlearned")
    temporary = tmp_path / "temporary"
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    for version, folders in ((old, ("tmpab1_cd2e", "somebodys/x", "tmpzzzzzzz1/model")), (new, ("tmp0000000a",))):
        stored = workspace.state("mlartifacts", "tmu-d", "models", version.model_id, "artifacts")
        for folder in folders:
            shutil.copytree(stored, temporary / folder)
    request, (_, place) = about(workspace, old), places(workspace)
    left = list(place.find(request))
    assert [trace.address for trace in left] == ["tmpab1_cd2e", "tmpzzzzzzz1"]
    for trace in left:
        place.purge(request, trace)
        place.purge(request, trace)
    place.purge(request, left[0].model_copy(update={"address": "../w"}))
    assert list(place.find(request)) == [] and workspace.root.is_dir()
    assert sorted(path.name for path in temporary.iterdir()) == ["somebodys", "tmp0000000a"]


def test_looking_for_places_leaves_mlflows_plugin_alone() -> None:
    """MLflow finds `tmu-workspace:` by an entry point; imported before MLflow, its module would be half made then."""
    code = (
        "import tmu.purge.places.mlflow, tmu.stores.mlflow_copies, mlflow.store.artifact.artifact_repository_registry"
    )
    done = subprocess.run([sys.executable, "-W", "default", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "tmu-workspace" not in done.stderr
