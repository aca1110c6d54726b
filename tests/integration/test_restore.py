"""The drill: yesterday's backup is put back after a deletion and its purge; `tmu restore` finds and erases it again."""

import shutil
from pathlib import Path

import pytest

from tests.cli_tools import good, listing
from tests.key_purge import all_keys, erased, imported, key_of, scope_of, with_keys
from tmu.data.index import Index
from tmu.data.keys import to_hex
from tmu.data.shards import read_keys
from tmu.deletion.deletion import Stage
from tmu.deletion.journal import Journal
from tmu.errors import DataError
from tmu.ledger.place import opened
from tmu.purge.scope import Scope
from tmu.steps.import_data import import_data
from tmu.steps.ledger.guard_data import refuse_returned
from tmu.steps.purge import act_purge, check_purge, plan_again, refuse_left, scrub_purge
from tmu.steps.tidy import tidy
from tmu.suppression.tombstones import Tombstones
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow
BACKED_UP = ("data", "data.dvc", ".dvc", ".tmu")


def deleted(workspace: Workspace) -> Scope:
    """A deletion with its purge, by all places."""
    before = all_keys(workspace)
    deletion = erased(workspace)
    scope = scope_of(workspace, deletion, before - all_keys(workspace))
    tidy(workspace)
    plan_again(workspace, scope)
    act_purge(workspace, scope.request)
    refuse_left(check_purge(workspace, scope.request))
    scrub_purge(workspace, scope.request)
    Journal(workspace).advance(deletion, Stage.COMPLETED)
    return scope


def put_back(backup: Path, home: Path, *, but: str = ".tmu/suppression") -> None:
    """The backup over the workspace, without the tombstones."""
    kept = home.parent / "kept"
    shutil.copytree(home / but, kept)
    for name in BACKED_UP:
        there, old = home / name, backup / name
        if old.is_dir():
            shutil.rmtree(there)
            shutil.copytree(old, there)
        else:
            shutil.copy(old, there)
    shutil.rmtree(home / but, ignore_errors=True)
    shutil.copytree(kept, home / but)


def everywhere(workspace: Workspace, scope: Scope) -> set[str]:
    """Files with keys of the scope, shards unpacked; not counted are shards that remember them as erased alone."""
    home = workspace.root
    raw = set(with_keys(home, scope.every_key))
    shards = {path: _of_shard(home / path, scope) for path in _files(home)}
    return {path for path in raw if shards[path] is None} | {path for path, holds in shards.items() if holds}


def _files(home: Path) -> list[str]:
    return [path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()]


def _of_shard(path: Path, scope: Scope) -> bool | None:
    """Whether a shard has a record of the scope; None for a file that is no shard."""
    try:
        shard = read_keys(path)
    except DataError:
        return None
    return not frozenset((*to_hex(shard.record_keys), *to_hex(shard.people()))).isdisjoint(scope.every_key)


@pytest.fixture
def drill(tmp_path: Path) -> tuple[Workspace, Scope, Path]:
    """A workspace after deletion, purge and a restore of the backup from before."""
    workspace, backup = imported(tmp_path / "w"), tmp_path / "backup"
    with opened(workspace):
        pass  # a ledger is there
    Tombstones.of(workspace).make_secret()
    backup.mkdir()
    for name in BACKED_UP:
        old = workspace.root / name
        (shutil.copytree if old.is_dir() else shutil.copy)(old, backup / name)
    scope = deleted(workspace)
    assert everywhere(workspace, scope) == set()
    put_back(backup, workspace.root)
    return Workspace.open(workspace.root), scope, backup


def test_yesterdays_backup_is_erased_and_purged_again(drill: tuple[Workspace, Scope, Path]) -> None:
    workspace, scope, _ = drill
    assert len(everywhere(workspace, scope)) > 0
    assert frozenset(scope.records) <= all_keys(workspace)
    with pytest.raises(DataError, match=f"{len(scope.records)} records that were erased"):
        refuse_returned(workspace)
    before = listing(workspace.data)
    found = good(workspace.root, "restore")
    assert (found["deletions"], found["records"], found["data"]) == (1, len(scope.records), None)
    assert listing(workspace.data) == before
    done = good(workspace.root, "restore", "--yes")
    assert done["data"]["digest"] == scope.after.digest
    assert everywhere(workspace, scope) == set()
    assert frozenset(scope.records).isdisjoint(all_keys(workspace))
    assert Index.build(workspace.data).is_erased_subject(key_of(workspace))
    again = good(workspace.root, "restore", "--yes")
    assert (again["records"], again["versions"], again["traces"]) == (0, [], {})
    assert everywhere(workspace, scope) == set()


def test_without_the_tombstones_a_copy_of_them_does_it(drill: tuple[Workspace, Scope, Path], tmp_path: Path) -> None:
    workspace, scope, _ = drill
    good(workspace.root, "restore", "--export", tmp_path / "copy.jsonl")
    Tombstones.of(workspace).path.unlink()
    assert good(workspace.root, "restore")["records"] == 0  # nothing is remembered here
    done = good(workspace.root, "restore", "--tombstones", tmp_path / "copy.jsonl", "--yes")
    assert done["records"] == len(scope.records)
    assert everywhere(workspace, scope) == set()
    assert Tombstones.of(workspace).path.exists()


def test_an_import_after_the_restore_leaves_the_erased_out(drill: tuple[Workspace, Scope, Path]) -> None:
    workspace, scope, _ = drill
    shutil.rmtree(workspace.data)
    (workspace.root / "data.dvc").unlink()
    _, imported_ = import_data(workspace, "digits", {})
    assert imported_.skipped_erased == len(scope.records)
    assert frozenset(scope.records).isdisjoint(all_keys(workspace))


def test_a_journal_that_was_not_restored_stands_in_no_way(tmp_path: Path) -> None:
    """It holds a deletion then, whose keys are tried like all others."""
    workspace = imported(tmp_path / "w")
    deleted(workspace)
    left = erased(workspace, "contributor-008")  # of this one the keys are in the journal still
    assert Journal(workspace).find(left.id).every_key
    assert good(workspace.root, "restore")["records"] == 0
