"""The references on digits: fitted once, read by shard, erased by person, found again, renewed; killed and resumed."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
import torch
from safetensors import safe_open

from tests.integration.conftest import make_workspace
from tmu.cli import upkeep
from tmu.config import Params, ReferencesConfig
from tmu.data.keys import key64
from tmu.errors import DataError, RequestError, StorageError
from tmu.files import write_json
from tmu.manifest import digest
from tmu.references.rows import ReferenceRows
from tmu.refs import DataRef, ForgetRef, ReferencesRef
from tmu.steps import fit_references as fitting
from tmu.steps import train_references as training
from tmu.steps.erase_data import erase_data
from tmu.steps.erase_references import drop_tables_of, erase_references, rows_left
from tmu.steps.fit_references import fit_references
from tmu.steps.loading import data_ref, forget_keys, open_store
from tmu.steps.log_references import facts_of, log_references
from tmu.steps.making import make
from tmu.steps.read_references import find_references, read_info, read_rows, read_run
from tmu.steps.renewal import renewal_of, serving_references
from tmu.steps.tidy import tidy
from tmu.workspace import Workspace

SMALL = {
    "model": {"name": "small_resnet", "options": {"width": 4}},
    "train": {"epochs": 6},
    "references": {"pairs": 2},
    "audit": {"bootstrap": 100, "head_records": 100},
}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, DataRef, ReferencesRef]:
    workspace = make_workspace(tmp_path_factory.mktemp("fitted"), **SMALL)
    data = data_ref(workspace)
    return workspace, data, fit_references(workspace, data, workspace.params)


@pytest.fixture
def copied(fitted, tmp_path: Path) -> tuple[Workspace, DataRef, ReferencesRef]:
    """The same in a folder of its own, to change."""
    workspace, data, ref = fitted
    return Workspace.open(shutil.copytree(workspace.root, tmp_path / "copy", symlinks=True)), data, ref


def person(workspace: Workspace, data: DataRef, number: int = 0) -> tuple[ForgetRef, list[str]]:
    """A forget set of one person with training records."""
    index = open_store(workspace, data).index()
    subject = index.people_at((index.splits == 0).nonzero()[0][number : number + 1])[0]
    keys = index.keys_at(index.find_subject(subject))

    def build(folder: Path, run: dict) -> None:
        write_json(folder / "forget.json", {"data": data.digest, "records": keys})

    uri, folder = make(workspace, "forget", {"stage": "forget", "records": keys}, build)
    return ForgetRef(uri=uri, digest=digest(folder), data_digest=data.digest), keys


def same(first: ReferenceRows, second: ReferenceRows) -> bool:
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in vars(first))


def test_every_record_has_a_row_and_halves_are_by_person(fitted) -> None:
    workspace, data, ref = fitted
    store = open_store(workspace, data)
    index = store.index()
    rows = read_rows(workspace, ref)
    aligned = rows.aligned(torch.from_numpy(key64(index.record_keys)))
    assert len(rows) == len(index)
    assert rows.logp.shape == (len(index), 4, 10)
    assert torch.equal(aligned.labels, torch.from_numpy(index.labels.astype("int64")))
    train = torch.from_numpy(index.splits == 0)
    assert (aligned.seen[train].sum(1) == 2).all()
    assert not aligned.seen[~train].any()
    for subject in set(index.people_at(index.splits == 0)):
        mine = aligned.seen[torch.from_numpy(index.find_subject(subject))]
        mine = mine[mine.any(1)]
        assert (mine == mine[:1]).all()


def test_networks_know_what_they_learned_better_and_their_bodies_too(fitted) -> None:
    workspace, _, ref = fitted
    rows = read_rows(workspace, ref)
    rows = rows.take(rows.seen.any(1))
    for inner in (False, True):
        true = rows.labels[:, None]
        learned, unseen = (part(inner=inner).gather(1, true).mean() for part in (rows.learned, rows.unseen))
        assert learned > unseen + 0.02


def test_found_by_revision_and_parameters_and_not_fitted_again(fitted, monkeypatch) -> None:
    workspace, data, ref = fitted
    assert find_references(workspace, data, workspace.params) == ref
    monkeypatch.setattr(fitting, "train_references", None)
    assert fit_references(workspace, data, workspace.params) == ref
    seldom = workspace.params.model_copy(update={"references": ReferencesConfig(pairs=2, renew_days=9)})
    assert fit_references(workspace, data, seldom) == ref
    for other in (
        {"seed": 3},
        {"train": workspace.params.train.model_copy(update={"epochs": 7})},
        {"references": ReferencesConfig(pairs=1)},
    ):
        assert find_references(workspace, data, workspace.params.model_copy(update=other)) is None
    assert find_references(workspace, DataRef(uri="data", digest="0.dir"), workspace.params) is None


def test_a_deletion_reads_and_verifies_the_shards_it_needs_alone(copied) -> None:
    workspace, _, ref = copied
    buckets = read_info(workspace, ref)["buckets"]
    whole, some = read_rows(workspace, ref), read_rows(workspace, ref, buckets[1:3])
    assert same(some, whole.aligned(some.keys))
    assert 0 < len(some) < len(whole)
    path = workspace.artifacts.find("references", ref.uri.split("/")[1]) / f"{buckets[0]:02x}.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(raw)
    assert same(read_rows(workspace, ref, buckets[1:3]), some)
    with pytest.raises(StorageError, match=path.name):
        read_rows(workspace, ref, buckets[:1])


def test_no_weights_and_no_unfinished_work_stay_on_disk(fitted) -> None:
    workspace, _, _ = fitted
    assert [path.name for path in workspace.state("references").iterdir()] == [".lock"]
    files = list(workspace.root.rglob("*.safetensors"))
    assert files
    for path in files:
        with safe_open(path, framework="pt") as file:
            assert set(file.keys()) <= {"record_keys", "labels", "splits", "seen", "nets", "logp", "inner"}


def test_erasing_rewrites_touched_shards_alone_and_leaves_the_other_rows_as_they_were(copied) -> None:
    workspace, data, ref = copied
    forget, keys = person(workspace, data)
    with pytest.raises(DataError, match="not erased"):
        erase_references(workspace, ref, forget, data)
    whole = read_rows(workspace, ref)
    after = erase_data(workspace, data, forget)
    made = erase_references(workspace, ref, forget, after)
    assert erase_references(workspace, ref, forget, after) == made
    assert find_references(workspace, after, workspace.params) == made
    left = torch.from_numpy(key64(open_store(workspace, after).index().record_keys))
    rows = read_rows(workspace, made)
    assert same(rows.aligned(left), whole.aligned(left))
    assert len(rows) == len(left) == len(whole) - len(keys)
    old, new = (workspace.artifacts.fetch(each.uri, each.digest) for each in (ref, made))
    shards = [path.name for path in old.glob("*.safetensors")]
    linked = [name for name in shards if (old / name).stat().st_ino == (new / name).stat().st_ino]
    assert len(linked) == len(shards) - 1  # all records of a person lie in one shard
    info = read_info(workspace, made)
    train = int((whole.aligned(_key64(keys)).seen.any(1)).sum())
    assert (info["erased_records"], info["deletions"]) == (train, 1)
    assert read_run(workspace, made)["fitted_at"] == read_run(workspace, ref)["fitted_at"]


def _key64(keys: list[str]) -> torch.Tensor:
    from tmu.data.keys import from_hex

    return torch.from_numpy(key64(from_hex(keys)))


def test_a_killed_erasure_is_completed_by_the_same_call(copied, monkeypatch) -> None:
    workspace, data, ref = copied
    forget, _ = person(workspace, data)
    after = erase_data(workspace, data, forget)
    from tmu.steps import erase_references as step

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(step, "write_json", die)
        with pytest.raises(KeyboardInterrupt):
            erase_references(workspace, ref, forget, after)
    assert find_references(workspace, after, workspace.params) is None
    made = erase_references(workspace, ref, forget, after)
    # an artifact whose touched shard was damaged since is written again
    folder = workspace.artifacts.fetch(made.uri, made.digest)
    (shard,) = [path for path in folder.glob("*.safetensors") if path.stat().st_nlink == 1]
    shard.chmod(0o600)
    shard.write_bytes(b"other")
    again = erase_references(workspace, ref, forget, after)
    assert again == made
    assert read_rows(workspace, again)


def test_superseded_tables_are_dropped_with_all_that_hold_the_rows_and_the_one_in_use_is_not(copied) -> None:
    workspace, data, ref = copied
    other = workspace.params.model_copy(update={"references": ReferencesConfig(pairs=1)})
    older = fit_references(workspace, data, other)
    (held,) = (held for held in workspace.artifacts.manifests("references") if held.uri == older.uri)
    for name in ("older", "unreadable"):
        with workspace.artifacts.derive(held, name, held.manifest["identity"] | {"data": f"{name}.dir"}):
            pass  # as of a revision before an import
    forget, keys = person(workspace, data)
    with pytest.raises(RequestError, match="as they are"):
        drop_tables_of(workspace, data, forget)
    made = erase_references(workspace, ref, forget, erase_data(workspace, data, forget))
    assert rows_left(workspace, forget_keys(workspace, forget)) == 4 * len(keys)
    for path in workspace.artifacts.folder("references", "unreadable").glob("*.safetensors"):
        path.unlink()
    drop_tables_of(workspace, data, forget)
    drop_tables_of(workspace, data, forget)
    assert rows_left(workspace, forget_keys(workspace, forget)) == 0
    assert [held.uri for held in workspace.artifacts.manifests("references")] == [made.uri]
    gone = {bytes.fromhex(key) for key in keys}
    for path in workspace.root.rglob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            assert not gone & {bytes(key) for key in file.get_tensor("record_keys").numpy()}


def test_a_table_does_not_follow_where_a_class_is_retired(copied) -> None:
    workspace, data, ref = copied

    def build(folder: Path, run: dict) -> None:
        write_json(folder / "forget.json", {"data": data.digest, "records": [], "retires": [3]})

    uri, folder = make(workspace, "forget", {"stage": "forget", "retires": [3]}, build)
    forget = ForgetRef(uri=uri, digest=digest(folder), data_digest=data.digest)
    with pytest.raises(RequestError, match="retired"):
        erase_references(workspace, ref, forget, data)


def test_a_second_deletion_goes_on_from_the_first_ones_table(copied) -> None:
    workspace, data, ref = copied
    erased = 0
    for number in (0, 60):
        forget, keys = person(workspace, data, number)
        after = erase_data(workspace, data, forget)
        ref = erase_references(workspace, ref, forget, after)
        drop_tables_of(workspace, data, forget)
        data, erased = after, erased + len(keys)
    assert read_info(workspace, ref)["deletions"] == 2
    assert len(read_rows(workspace, ref)) == len(open_store(workspace, data).index())


def test_renewal_by_share_and_by_age_of_what_was_erased(copied) -> None:
    workspace, data, ref = copied
    params = workspace.params
    later = datetime.now(UTC) + timedelta(days=400)
    assert renewal_of(workspace, ref, params, at=later).state == "fine"  # nothing was erased: it would be the same
    forget, _ = person(workspace, data)
    made = erase_references(workspace, ref, forget, erase_data(workspace, data, forget))
    info = read_info(workspace, made)
    share = info["erased_records"] / info["n_train"]
    assert renewal_of(workspace, made, params).erased == share > 0
    assert renewal_of(workspace, made, params).state == "fine"
    assert renewal_of(workspace, made, _rule(params, renew_erased=share)).state == "due"
    soon = renewal_of(workspace, made, _rule(params, renew_erased=share / 0.9))
    assert (soon.state, len(soon.reasons)) == ("soon", 1)
    assert "of the training set" in soon.reasons[0]
    missing = int(info["n_train"] * params.references.renew_erased)
    assert renewal_of(workspace, made, params, erasing=missing).state == "due"  # so the plan can say it before
    aged = renewal_of(workspace, made, params, at=later)
    assert (aged.state, "400 days old" in aged.reasons[0]) == ("due", True)
    assert renewal_of(workspace, made, params, at=later - timedelta(days=80)).state == "soon"
    after = data_ref(workspace)
    assert serving_references(workspace, after, params) == made
    assert serving_references(workspace, after, _rule(params, renew_erased=share)) is None
    new = fit_references(workspace, after, params)
    assert find_references(workspace, after, params) == new != made


def _rule(params: Params, **changes: float) -> Params:
    return params.model_copy(update={"references": params.references.model_copy(update=changes)})


def test_a_part_of_the_data_holds_whole_shards_and_other_records_are_refused(copied) -> None:
    workspace, data, _ = copied
    params = _rule(workspace.params, pairs=1, most_records=400)
    ref = fit_references(workspace, data, params)
    index = open_store(workspace, data).index()
    rows, buckets = read_rows(workspace, ref), read_info(workspace, ref)["buckets"]
    assert 200 < len(rows) <= 400
    assert sorted(rows.keys.tolist()) == sorted(
        key64(index.record_keys[[b in buckets for b in index.buckets]]).tolist()
    )
    with pytest.raises(DataError, match=r"no outputs of \d+ of"):
        rows.aligned(torch.from_numpy(key64(index.record_keys)))
    with pytest.raises(DataError, match="of a part of the data"):
        read_rows(workspace, ref, sorted(set(index.buckets.tolist())))


def test_a_deletion_during_the_fit_leaves_no_table_of_the_erased_person(copied, monkeypatch) -> None:
    workspace, data, _ = copied
    forget, _ = person(workspace, data)
    real, params = fitting.train_references, _rule(workspace.params, pairs=1)

    def meanwhile(*given: object) -> list[dict]:
        erase_data(workspace, data, forget)
        return real(*given)

    monkeypatch.setattr(fitting, "train_references", meanwhile)
    with pytest.raises(RequestError, match="changed while"):
        fit_references(workspace, data, params)
    assert find_references(workspace, data, params) is None
    assert [path.name for path in workspace.state("references").iterdir()] == [".lock"]


def test_tidy_removes_what_an_interrupted_fit_left_unless_one_is_running(copied) -> None:
    workspace, _, _ = copied
    left = workspace.state("references", "0" * 64, "00.safetensors")
    left.parent.mkdir()
    left.write_bytes(b"rows of people")
    from tmu.stores.lock import locked

    with locked(workspace.state("references", ".lock")):
        assert tidy(workspace)["unfinished_fits"] == 0
    assert left.exists()
    assert tidy(workspace)["unfinished_fits"] == 1
    assert not left.parent.exists()


def test_a_fit_removes_what_fits_of_other_revisions_left_and_keeps_its_own(copied) -> None:
    workspace, data, _ = copied
    other, mine = (
        workspace.state("references", f"{name}-{'1' * 32}", "00.safetensors") for name in ("0" * 32, data.digest[:32])
    )
    for path in (other, mine):
        path.parent.mkdir()
        path.write_bytes(b"rows of people")
    assert "interrupted" in upkeep.references(workspace).text
    fit_references(workspace, data, workspace.params)
    assert not other.parent.exists()
    assert mine.exists()


def test_mlflow_has_one_run_with_the_tables_numbers(copied) -> None:
    workspace, data, ref = copied
    run = log_references(workspace, data, ref, workspace.params)
    assert log_references(workspace, data, ref, workspace.params) == run
    facts = facts_of(workspace, ref, workspace.params)
    with workspace.registry.connected() as client:
        found = client.get_run(run)
        logged = client.search_runs([found.info.experiment_id])
    assert len(logged) == 1
    assert found.info.status == "FINISHED"
    assert found.data.tags["references"] == ref.digest
    assert found.data.params["references.pairs"] == "2"
    assert found.data.metrics["accuracy_holdout_pct"] == facts["accuracy_holdout_pct"] > 30
    inputs = [{tag.key: tag.value for tag in entry.tags} for entry in found.inputs.dataset_inputs]
    assert {tags["mlflow.data.context"]: int(tags["n_records"]) for tags in inputs} == facts["records"]


@pytest.fixture
def anew(fitted, tmp_path: Path) -> Iterator[Workspace]:
    """The same data without references."""
    workspace = Workspace.open(shutil.copytree(fitted[0].root, tmp_path / "anew", symlinks=True))
    shutil.rmtree(workspace.state("artifacts", "references"))
    return workspace


@pytest.mark.slow
def test_a_killed_fit_trains_the_unfinished_networks_alone_and_gives_the_same_table(
    fitted, anew: Workspace, monkeypatch
) -> None:
    _, data, ref = fitted
    child = Path(__file__).with_name("references_child.py")
    environment = os.environ | {"TMU_SNAPSHOT_SECONDS": "0", "PYTHONPATH": str(Path(__file__).parents[2])}
    running = subprocess.Popen([sys.executable, str(child), str(anew.root)], env=environment)
    folder = anew.state("references")
    deadline = time.monotonic() + 120
    while not (list(folder.glob("*/??.safetensors")) and list(folder.glob("*/*.snapshot.safetensors"))):
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.005)
    workers = psutil.Process(running.pid).children(recursive=True)
    running.kill()
    running.wait()
    assert workers
    assert psutil.wait_procs(workers, timeout=20)[1] == []  # no orphan goes on
    done = {int(path.name[:2]) for path in folder.glob("*/??.safetensors")}
    assert 0 < len(done) < 4
    again, real = [], training.train_network
    monkeypatch.setattr(training, "train_network", lambda job, tell: again.append(job.network) or real(job, tell))
    snapshots = list(folder.glob("*/*.snapshot.safetensors"))
    assert fit_references(anew, data, anew.params) == ref  # the digest, too: bit by bit
    assert sorted(again) == sorted(set(range(4)) - done)
    assert (read_run(anew, ref)["resumed_at"] > 0) == bool(snapshots)
    assert [path.name for path in folder.iterdir()] == [".lock"]


@pytest.mark.slow
def test_processes_train_the_same_networks_as_this_one(fitted, anew: Workspace, monkeypatch) -> None:
    _, data, ref = fitted
    monkeypatch.setattr(training, "_PATIENCE", -1.0)
    told: list[tuple[int, int]] = []
    made = fit_references(anew, data, anew.params, progress=lambda done, total, _: told.append((done, total)))
    assert made == ref
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len({total for _, total in told}) == 1
    assert len(told) > 4
