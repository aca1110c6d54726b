"""An artifact store bears its workspace's mark: another one writes nothing there, and its purge destroys nothing."""

import shutil
from pathlib import Path

import pytest

from tests.purge_tools import erased, scope
from tests.unit.purge.test_place_artifacts import bucket, made, place, versions  # noqa: F401 - fixtures
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
    assert (first.artifacts.root / MARK).read_bytes() == owner_of(first.root).as_bytes()
    shutil.move(first.root, tmp_path / "elsewhere")
    moved = Workspace.open(tmp_path / "elsewhere")
    assert moved.artifacts.fetch(uri, digest) and made(moved, "b")
