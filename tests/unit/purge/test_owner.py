"""An artifact store bears its workspace's mark: another one writes nothing there, and its purge destroys nothing."""

import shutil
from pathlib import Path

import pytest

from tests.cli_tools import listing
from tests.purge_tools import erased, scope
from tests.unit.purge.test_place_artifacts import bucket, made, place, versions  # noqa: F401 - fixtures
from tmu.cli.upkeep import owner
from tmu.errors import StorageError
from tmu.purge.places.artifacts import Artifacts
from tmu.stores.owner import MARK, Owner, owner_of
from tmu.workspace import Workspace

THEIRS = Owner(id="a" * 32, name="their-service")


def other(workspace: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Another workspace with the same store."""
    if not versions(workspace):
        monkeypatch.setenv("TMU_ARTIFACTS", str(workspace.artifacts.root))
    return Workspace.create(folder / "another")


def mark(workspace: Workspace, content: bytes, below: str = "") -> None:
    """Put a mark into a store, whatever is there."""
    store, name = workspace.artifacts, f"{below}/{MARK}".removeprefix("/")
    if versions(workspace):
        store._put(name, content)
    else:
        (store.root / name).parent.mkdir(parents=True, exist_ok=True)
        (store.root / name).write_bytes(content)


def test_who_writes_first_owns_it_and_another_is_refused_by_name(place, tmp_path, monkeypatch):  # noqa: F811
    uri, digest = made(place, "a")
    stranger = other(place, tmp_path, monkeypatch)
    store, before = stranger.artifacts, versions(place)
    assert store.fetch(uri, digest)  # what may be read is the store's own affair
    for refused in (
        lambda: made(stranger, "b"),
        store.refuse_unwritable,
        lambda: store.remove(uri),
        lambda: store.derive(store.manifests("model")[0], "b", {}).__enter__(),
    ):
        with pytest.raises(StorageError, match=r"belongs to the workspace `w` \(id [0-9a-f]{8}\), not to this one"):
            refused()
    assert place.artifacts.fetch(uri, digest) and versions(place) == before
    assert made(place, "b")[0] == "model/b"


def test_a_purge_destroys_nothing_beneath_what_is_anothers(place):  # noqa: F811
    deletion, (uri, _) = erased(place), made(place, "a")
    asked = scope(deletion, artifacts=(uri,))
    traces = list(Artifacts(place).find(asked))
    for below in ("", "model", "model/a"):  # the whole store; a prefix that begins below ours
        mark(place, THEIRS.as_bytes(), below)
        before, anew = versions(place), Workspace.open(place.root)
        for trace in traces:
            with pytest.raises(StorageError, match=f"{below}.* belongs to the workspace `their-service`"):
                Artifacts(anew).purge(asked, trace)
        assert versions(place) == before and place.artifacts.purged.find(uri) is None
        mark(place, owner_of(place.root).as_bytes(), below)
    mark(place, owner_of(place.root).as_bytes())
    anew = Workspace.open(place.root)
    for trace in traces:  # and it bites: the same traces go where the marks are ours
        Artifacts(anew).purge(asked, trace)
    assert anew.artifacts.find("model", "a") is None


def test_who_purged_where_nobodys_mark_was_writes_nothing_once_another_has_put_its_own(place):  # noqa: F811
    place.artifacts.remove("model/of-nobody")
    place.artifacts._put_mark(THEIRS.as_bytes())
    with pytest.raises(StorageError, match="belongs to the workspace `their-service`"):
        made(place, "a")


def test_a_mark_that_cannot_be_read_is_nobodys_to_ignore(place):  # noqa: F811
    uri, _ = made(place, "a")
    mark(place, b'{"form": "tmu owner"}')
    with pytest.raises(StorageError, match="is damaged"):
        Workspace.open(place.root).artifacts.remove(uri)


def test_a_store_of_an_earlier_version_is_claimed_and_a_moved_workspace_owns_it_still(tmp_path):
    first = Workspace.create(tmp_path / "w")
    uri, digest = made(first, "a")
    (first.artifacts.root / MARK).unlink()
    anew = Workspace.open(first.root)
    anew.artifacts.remove("model/of-nobody")  # nobody's mark is there: nothing is refused
    anew.artifacts.refuse_unwritable()
    assert not (first.artifacts.root / MARK).exists()  # what only looks claims nothing
    made(anew, "c")
    assert (first.artifacts.root / MARK).read_bytes() == owner_of(first.root).as_bytes()
    shutil.move(first.root, tmp_path / "elsewhere")
    moved = Workspace.open(tmp_path / "elsewhere")
    assert moved.artifacts.fetch(uri, digest) and made(moved, "b")


def copied(workspace: Workspace, folder: Path) -> Workspace:
    """As `cp -r` makes it; the store of the folder's case is named by a setting, and lies outside of both."""
    shutil.copytree(workspace.root, folder, symlinks=True)
    return Workspace.open(folder)


@pytest.fixture
def outside(place, tmp_path, monkeypatch):  # noqa: F811
    """A workspace whose store lies outside of it, with an artifact."""
    if not versions(place):
        monkeypatch.setenv("TMU_ARTIFACTS", str(tmp_path / "store"))
    workspace = Workspace.open(place.root)
    return workspace, *made(workspace, "a")


def refused(workspace: Workspace, uri: str) -> None:
    anew = Workspace.open(workspace.root)
    store = anew.artifacts
    for act in (lambda: made(anew, "b"), store.refuse_unwritable, lambda: store.remove(uri)):
        with pytest.raises(StorageError, match="belongs to another copy of this workspace, in a folder"):
            act()


def test_a_copy_neither_writes_to_nor_purges_the_store_of_its_original(outside, tmp_path):
    first, uri, digest = outside
    copy = copied(first, tmp_path / "copy")
    before = listing(copy.root)
    assert owner(Workspace.open(copy.root)).state == "fail"
    assert listing(copy.root) == before  # the doctor changes nothing
    refused(copy, uri)
    assert first.artifacts.fetch(uri, digest) and made(Workspace.open(first.root), "c")
    assert owner(Workspace.open(first.root)).state == "ok"


def test_a_workspace_that_moved_takes_its_store_along_and_a_copy_of_it_does_not(outside, tmp_path):
    first, uri, _ = outside
    copy = copied(first, tmp_path / "copy")
    shutil.move(first.root, tmp_path / "moved")  # of the two, nobody can tell who is the original
    moved = Workspace.open(tmp_path / "moved")
    assert made(moved, "c") and owner(moved).state == "ok"
    refused(copy, uri)
    shutil.move(moved.root, first.root)
    assert made(Workspace.open(first.root), "d")  # and back again
    refused(copy, uri)


def test_a_copy_with_a_store_of_its_own_owns_it_and_may_move(outside, tmp_path, monkeypatch):
    first, _, _ = outside
    copy = copied(first, tmp_path / "copy")
    monkeypatch.setenv("TMU_ARTIFACTS", str(tmp_path / "own"))
    assert made(Workspace.open(copy.root), "b")
    shutil.move(copy.root, tmp_path / "moved")
    assert made(Workspace.open(tmp_path / "moved"), "c")
    refused(first, "model/a")
    monkeypatch.delenv("TMU_ARTIFACTS")
    assert made(Workspace.open(tmp_path / "moved"), "d")  # inside of it, where the mark was copied, too


def test_doctor_warns_of_other_stores_that_a_copy_shares_with_its_original(tmp_path, monkeypatch):
    first = Workspace.create(tmp_path / "w")
    made(first, "a")
    copy = copied(first, tmp_path / "copy")
    made(copy, "b")
    assert owner(copy).state == "ok"
    monkeypatch.setenv("TMU_DVC_REMOTE", "s3://bucket/dvc")
    check = owner(Workspace.open(copy.root))
    assert check.state == "warn" and str(first.root) in check.text and "dvc_remote" in check.text
    shutil.rmtree(first.root)
    assert owner(Workspace.open(copy.root)).state == "ok"
