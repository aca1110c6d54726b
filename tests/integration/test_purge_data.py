"""A purge of the data's copies with the real DVC: what goes, what stays byte by byte, and what is not ours."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.purge_data import People, bytes_of, erased, imported, purged, traces, workspace_of
from tmu.data.digest import manifest
from tmu.data.info import shard_path
from tmu.data.keys import bucket_of, to_hex
from tmu.data.shards import read_keys
from tmu.errors import StorageError
from tmu.ledger.actor import OPERATOR
from tmu.ledger.holds import Scope as HoldScope
from tmu.ledger.holds import hold, release
from tmu.ledger.place import opened
from tmu.purge.data_revisions import OldRevisions
from tmu.purge.places.data import places
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Holds, Trace
from tmu.stores.dvc_objects import FolderObjects
from tmu.workspace import Workspace


def _dvc(root: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    environment = os.environ | {"DVC_SITE_CACHE_DIR": str(root / "site")}
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _remote(folder: Path) -> str:
    return f'dvc_remote = "{folder}"\n'


def _holders(folder: Path, scope: Scope) -> list[str]:
    """Objects below a folder that are shards with a key of the scope, by their own code path."""
    found = []
    for path in (folder / "files" / "md5").rglob("*"):
        if path.is_file() and path.read_bytes()[:4] == b"PAR1":
            shard = read_keys(path)
            if {*to_hex(shard.record_keys), *to_hex(shard.people())} & scope.every_key:
                found.append(path.name)
    return found


def test_only_the_persons_shards_and_the_lists_that_name_them_go(tmp_path: Path):
    workspace = workspace_of(tmp_path / "w", People(12), _remote(tmp_path / "remote"))
    earlier = workspace.versions.revision(workspace.data)
    scope = erased(workspace, "p3")
    workspace.versions.materialise(earlier)
    workspace.versions.linked(earlier)
    stores = [workspace.root / ".dvc" / "cache", tmp_path / "remote"]
    assert all(len(_holders(store, scope)) == 1 for store in stores)
    before, data = [bytes_of(store) for store in stores], bytes_of(workspace.data)

    found = purged(places(workspace), scope)
    assert [(trace.place, trace.holds, trace.action) for trace in found] == [
        ("unpacked revisions", Holds.IMAGES, Action.DESTROY),
        ("unpacked revisions", Holds.IMAGES, Action.DESTROY),
        *(
            (place, holds, Action.DESTROY)
            for place in ("DVC cache", "DVC remote storage")
            for holds in (Holds.IMAGES, Holds.NAMES)
        ),
    ]
    assert traces(places(workspace), scope) == []
    after = [bytes_of(store) for store in stores]
    for store, was, now in zip(stores, before, after, strict=True):
        assert len(was.keys() - now.keys()) == 2 and now == {name: was[name] for name in now}
        assert not _holders(store, scope)
    assert bytes_of(workspace.data) == data and "up to date" in _dvc(workspace.root, "status", "data.dvc")
    with pytest.raises(StorageError, match="not in DVC's cache"):
        workspace.versions.materialise(earlier)

    clone = tmp_path / "clone"
    clone.mkdir()
    for name in (".dvc/config", "data.dvc"):
        (clone / name).parent.mkdir(exist_ok=True)
        (clone / name).write_bytes((workspace.root / name).read_bytes())
    _dvc(clone, "pull")
    assert bytes_of(clone / "data") == data


def test_what_a_legal_hold_keeps_of_somebody_else_outlives_a_purge(tmp_path: Path):
    """p1 was erased, then a hold came and put their purge off; p3 lay in the same shard."""
    workspace = workspace_of(tmp_path / "w", People(8), n_buckets=1)
    first = erased(workspace, "p1")
    scope = erased(workspace, "p3", request="1" * 16)
    workspace.versions.materialise(first.before.digest)
    cache = workspace.root / ".dvc" / "cache"
    (theirs,) = _holders(cache, first)
    assert len(_holders(cache, scope)) == 2
    with opened(workspace) as ledger:
        number = hold(ledger, HoldScope("subject", subject=first.subjects[0]), "court order", OPERATOR).id
    found = {trace.address: trace for trace in purged(places(workspace), scope)}
    kept = {address for address, trace in found.items() if "legal hold" in trace.why}
    assert {Path(each).name for each in kept} == {theirs, first.before.digest[2:], first.before.digest}
    assert {found[each].action for each in kept} == {Action.KEEP} and len(found) == 5
    assert _holders(cache, scope) == _holders(cache, first) == [theirs]
    with opened(workspace) as ledger:
        release(ledger, number, "case closed", OPERATOR)
    purged(places(workspace), scope)
    assert _holders(cache, first) == traces(places(workspace), scope) == []


def test_a_file_with_several_names_goes_by_all_of_them(tmp_path: Path):
    """`.tmu/revisions` links into the cache: one name removed would leave the bytes."""
    workspace = workspace_of(tmp_path / "w", People(8))
    earlier = workspace.versions.revision(workspace.data)
    scope = erased(workspace, "p1")
    folder, listed = workspace.versions.linked(earlier)
    (md5,) = set(listed.values()) - set(manifest(workspace.data).values())
    cached = FolderObjects("", workspace.root / ".dvc" / "cache").path(md5)
    assert cached.stat().st_nlink == 2
    with open(cached, "rb") as file:
        assert all(trace.action is Action.DESTROY for trace in purged(places(workspace), scope))
        assert os.fstat(file.fileno()).st_nlink == 0  # no name is left
    assert not folder.exists()


def test_a_name_that_lies_elsewhere_is_told_before_and_after(tmp_path: Path):
    workspace = workspace_of(tmp_path / "w", People(8))
    earlier = workspace.versions.revision(workspace.data)
    scope = erased(workspace, "p1")
    listed = OldRevisions(workspace, [_cache(workspace)]).files(earlier)
    (md5,) = set(listed.values()) - set(manifest(workspace.data).values())
    os.link(_cache(workspace).path(md5), tmp_path / "elsewhere")
    found = purged(places(workspace), scope)
    (told,) = [trace for trace in found if trace.stays]
    assert told.action is Action.KEEP and told.why.startswith("1 more names of the same file")
    assert traces(places(workspace), scope) == [told] and not _cache(workspace).copies(md5)


def test_the_bytes_that_another_project_names_stay_in_a_shared_cache_and_remote(tmp_path: Path):
    """Another project has the person's very shard, and one of its own; both keep all that they had."""
    shared, remote = tmp_path / "shared", tmp_path / "remote"
    theirs = tmp_path / "theirs"
    workspace = workspace_of(tmp_path / "w", People(12))
    _share(workspace.root, shared, remote)
    workspace.versions.commit(workspace.data)
    _dvc(workspace.root, "push", "data.dvc")
    theirs.mkdir()
    _dvc(theirs, "init", "--no-scm")
    _share(theirs, shared, remote)
    bucket = bucket_of(workspace.keys(simulated=True).subject("p3"), 4)
    (theirs / "set").mkdir()
    shutil.copy(shard_path(workspace.data, bucket), theirs / "set" / "a.parquet")
    (theirs / "set" / "b").write_text("their own")
    _dvc(theirs, "add", "set")
    _dvc(theirs, "push")

    scope = erased(workspace, "p3")
    _dvc(workspace.root, "push", "data.dvc")
    found = purged(places(Workspace.open(workspace.root)), scope)
    stays = {trace.place for trace in found if trace.stays and "another project" in trace.why}
    gone = [trace.holds for trace in found if not trace.stays]
    assert stays == {"DVC cache", "DVC remote storage"} and gone == [Holds.NAMES, Holds.NAMES]
    shutil.rmtree(theirs / "set")
    _dvc(theirs, "checkout")
    assert (theirs / "set" / "b").read_text() == "their own" and read_keys(theirs / "set" / "a.parquet")
    shutil.rmtree(shared)
    shutil.rmtree(theirs / "set")
    _dvc(theirs, "pull")
    assert sorted(path.name for path in (theirs / "set").iterdir()) == ["a.parquet", "b"]


def test_equal_revisions_of_a_project_that_is_named_stay(tmp_path: Path):
    """Equal data give equal objects: nothing but the setting tells whose they are."""
    remote = tmp_path / "remote"
    ours = workspace_of(tmp_path / "ours", People(12), _remote(remote))
    theirs = workspace_of(tmp_path / "theirs", People(12), _remote(remote))
    assert ours.versions.revision(ours.data) == theirs.versions.revision(theirs.data)
    before = bytes_of(remote)
    scope = erased(ours, "p3")
    (ours.root / "tmu.toml").write_text(_remote(remote) + f'dvc_projects = ["{theirs.root}"]\n')
    found = purged(places(Workspace.open(ours.root)), scope)
    assert {(trace.place, trace.holds) for trace in found if trace.stays} == {
        ("DVC remote storage", Holds.IMAGES),
        ("DVC remote storage", Holds.NAMES),
    }
    assert before.items() <= bytes_of(remote).items()
    assert not _holders(ours.root / ".dvc" / "cache", scope)
    (ours.root / "tmu.toml").write_text(_remote(remote) + 'dvc_projects = ["/nowhere/at/all"]\n')
    with pytest.raises(StorageError, match="no project at /nowhere"):
        traces(places(Workspace.open(ours.root)), scope)


def test_a_kill_after_any_trace_leaves_what_the_next_run_completes(tmp_path: Path):
    workspace = workspace_of(tmp_path / "w", People(12), _remote(tmp_path / "remote"))
    workspace.versions.linked(workspace.versions.revision(workspace.data))
    scope = erased(workspace, "p3")
    data = bytes_of(workspace.data)
    rounds = 0
    while found := traces(fresh := places(workspace), scope):
        rounds += 1
        (place,) = [place for place in fresh if place.name == found[-1].place]
        place.purge(scope, found[-1])  # the last one first: a list before its shards
        place.purge(scope, found[-1])  # and again, as after a kill before it was written down
    assert rounds == 5
    assert not any(_holders(store, scope) for store in (workspace.root / ".dvc" / "cache", tmp_path / "remote"))
    assert bytes_of(workspace.data) == data


def test_an_import_with_other_shards_is_looked_through_as_well(tmp_path: Path):
    """The person lay in another bucket then; the list of that revision is in no journal."""
    workspace = workspace_of(tmp_path / "w", People(12, seed=1), n_buckets=3)
    imported(workspace, People(12), n_buckets=7)
    imported(workspace, People(12), n_buckets=5)
    scope = erased(workspace, "p3")
    cache = workspace.root / ".dvc" / "cache"
    assert len(_holders(cache, scope)) == 3  # the person of that id in the first import is the same one
    purged(places(workspace), scope)
    assert _holders(cache, scope) == [] and traces(places(workspace), scope) == []

    second = erased(workspace, "p4", "1" * 16)  # their old shards are named by lists that are gone
    assert len(_holders(cache, second)) >= 2
    purged(places(workspace), second)
    assert _holders(cache, second) == [] and traces(places(workspace), second) == []


def test_a_revision_under_another_secret_is_told(tmp_path: Path):
    workspace = workspace_of(tmp_path / "w", People(8, simulated=False))
    imported(workspace, People(8))
    scope = erased(workspace, "p1")
    found = traces(places(workspace), scope)
    told = [trace for trace in found if trace.stays]
    assert [(each.place, each.action) for each in told] == [("DVC cache", Action.KEEP)]
    assert "another secret" in told[0].why


def test_what_the_live_revision_needs_is_refused(tmp_path: Path):
    workspace = workspace_of(tmp_path / "w", People(8))
    scope = erased(workspace, "p1")
    (cache,) = [place for place in places(workspace) if place.name == "DVC cache"]
    for name in OldRevisions(workspace, []).needed():
        address = f"files/md5/{name[:2]}/{name[2:]}"
        trace = Trace(place="DVC cache", address=address, holds=Holds.IMAGES, action=Action.DESTROY)
        with pytest.raises(StorageError, match="needed now"):
            cache.purge(scope, trace)
    with pytest.raises(StorageError, match="no address"):
        cache.purge(scope, trace.model_copy(update={"address": "../../params.yaml"}))


def test_a_remote_that_tmu_does_not_reach_is_told(tmp_path: Path):
    workspace = workspace_of(tmp_path / "w", People(8))
    _dvc(workspace.root, "remote", "add", "cloud", "gs://bucket/prefix")
    scope = erased(workspace, "p1")
    (told,) = [trace for trace in traces(places(Workspace.open(workspace.root)), scope) if trace.stays]
    assert told.place == "DVC remote cloud" and "does not reach" in told.why


def test_revisions_that_git_alone_remembers_are_ours(tmp_path: Path):
    root, shared = tmp_path / "w", tmp_path / "shared"
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    workspace = workspace_of(root, People(12))
    _share(root, shared)
    workspace.versions.commit(workspace.data)
    _git(root, "add", "data.dvc")
    _git(root, "commit", "-qm", "data")
    imported(workspace, People(12), n_buckets=3)
    (root / ".tmu" / "committed").unlink()
    scope = erased(workspace, "p3")
    assert len(_holders(shared, scope)) == 2
    purged(places(Workspace.open(root)), scope)
    assert _holders(shared, scope) == []


def test_stage_outputs_that_hold_somebody_go_from_the_cache(tmp_path: Path):
    workspace = workspace_of(tmp_path / "w", People(8))
    root = workspace.root
    for name, files in {"original": {"weights.safetensors": "w", "arch.json": "a"}, "gold": {"arch.json": "a"}}.items():
        (root / "out" / name).mkdir(parents=True)
        for file, text in files.items():
            (root / "out" / name / file).write_text(text)
    stages = {name: {"cmd": "true", "outs": [{f"out/{name}": {"persist": True}}]} for name in ("original", "gold")}
    (root / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    _dvc(root, "commit", "-f")
    scope = erased(workspace, "p1").model_copy(update={"artifacts": ("file:out/original",)})
    kinds = [trace.holds for trace in purged(places(workspace), scope) if trace.place == "DVC cache"]
    assert sorted(kinds) == sorted([Holds.IMAGES, Holds.NAMES, Holds.NAMES, Holds.WEIGHTS])
    shutil.rmtree(root / "out" / "gold")
    _dvc(root, "checkout", "gold")
    assert (root / "out" / "gold" / "arch.json").read_text() == "a"  # which both models share


def _cache(workspace: Workspace) -> FolderObjects:
    return FolderObjects("DVC cache", workspace.root / ".dvc" / "cache", own=True)


def _share(root: Path, cache: Path, remote: Path | None = None) -> None:
    _dvc(root, "config", "cache.dir", str(cache))
    if remote:
        _dvc(root, "remote", "add", "-d", "storage", str(remote))


def _git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(root), *who, *arguments], check=True)


def test_what_is_looked_for_does_not_grow_with_the_deletions_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    workspace = workspace_of(tmp_path / "w", People(20), n_buckets=16)
    asked: list[str] = []
    for method in ("copies", "opened", "file"):
        real = getattr(FolderObjects, method)

        def noted(store: FolderObjects, name: str, real: Callable[..., object] = real) -> object:
            asked.append(name)
            return real(store, name)

        monkeypatch.setattr(FolderObjects, method, noted)
    counts = []
    for person in range(8):
        scope = erased(workspace, f"p{person}", f"{person:016x}")
        asked.clear()
        purged(places(workspace), scope)
        assert traces(places(workspace), scope) == []
        counts.append(len(set(asked)))
    assert max(counts[4:]) <= max(counts[1:4]), counts


def test_what_killed_dvc_commands_left_goes(tmp_path: Path):
    """Half a shard in the own cache; in a remote that others use, only what is a whole shard of the person."""
    remote = tmp_path / "remote"
    workspace = workspace_of(tmp_path / "w", People(8), _remote(remote))
    bucket = bucket_of(workspace.keys(simulated=True).subject("p1"), 4)
    shard = shard_path(workspace.data, bucket).read_bytes()
    scope = erased(workspace, "p1")
    half = workspace.root / ".dvc/cache/files/md5/ab/.half.tmp"
    whole, theirs = remote / "files/md5/ab/.whole.tmp", remote / "files/md5/ab/.theirs.tmp"
    for path, content in {half: shard[:99], whole: shard, theirs: b"their own"}.items():
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content)
    purged(places(workspace), scope)
    assert [path.exists() for path in (half, whole, theirs)] == [False, False, True]


def test_other_folders_of_the_project_are_left_alone(tmp_path: Path):
    """A folder of the user's own, with a `store.json` of another kind, tracked in the same cache."""
    workspace = workspace_of(tmp_path / "w", People(8))
    raw = workspace.root / "raw"
    raw.mkdir()
    (raw / "store.json").write_text('{"shop": 1}')
    (raw / "notes.json").write_text(workspace.keys(simulated=True).subject("p1"))
    _dvc(workspace.root, "add", "raw")
    scope = erased(workspace, "p1")
    purged(places(workspace), scope)
    shutil.rmtree(raw)
    _dvc(workspace.root, "checkout", "raw.dvc")
    assert sorted(path.name for path in raw.iterdir()) == ["notes.json", "store.json"]
