"""A purge of the data's copies with the real DVC: what goes, what stays byte by byte, and what is not ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.purge_data import People, bytes_of, erased, purged, traces, workspace_of
from tmu.data.keys import to_hex
from tmu.data.shards import read_keys
from tmu.errors import StorageError
from tmu.purge.places.data import places
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Holds


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
            if {*to_hex(shard.record_keys), *to_hex(shard.people())} & scope.keys:
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
