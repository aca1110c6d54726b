"""Manifests: deterministic, and any change to the folder is noticed."""

import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmu import manifest
from tmu.errors import DataError, StorageError

NAMES = st.sampled_from(["a", "b.json", "deep/a", "deep/er/c"])
TREES = st.dictionaries(NAMES, st.binary(min_size=1, max_size=20), min_size=1)


def write(folder, tree):
    for name, data in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("manifest")


@settings(max_examples=30, deadline=None)
@given(TREES, st.data())
def test_any_changed_byte_missing_or_added_file_is_noticed(scratch, tree, data):
    shutil.rmtree(scratch)
    scratch.mkdir()
    write(scratch, tree)
    sealed = manifest.seal(scratch, "audit", {"seed": 1})
    assert manifest.check(scratch, "audit") == sealed
    name = data.draw(st.sampled_from(sorted(tree)))
    position, flip = data.draw(st.integers(0, len(tree[name]) - 1)), data.draw(st.integers(1, 255))
    changed = bytearray(tree[name])
    changed[position] ^= flip
    (scratch / name).write_bytes(changed)
    with pytest.raises(StorageError, match="changed"):
        manifest.check(scratch)
    (scratch / name).unlink()
    with pytest.raises(StorageError, match="missing"):
        manifest.check(scratch)
    (scratch / name).write_bytes(tree[name])
    (scratch / "added").touch()
    with pytest.raises(StorageError, match="not listed"):
        manifest.check(scratch)


@settings(max_examples=10, deadline=None)
@given(TREES)
def test_digest_depends_on_content_not_on_order_or_run(scratch, tree):
    digests = set()
    for number, names in enumerate((sorted(tree), sorted(tree, reverse=True))):
        folder = scratch / str(number)
        shutil.rmtree(folder, ignore_errors=True)
        write(folder, {name: tree[name] for name in names})
        manifest.seal(folder, "audit", {"seed": 1}, run={"seconds": number})
        digests.add(manifest.digest(folder))
    assert len(digests) == 1
    manifest.seal(folder, "audit", {"seed": 2})
    assert manifest.digest(folder) not in digests


def test_kind_error_class_and_unreadable_manifest(tmp_path):
    manifest.seal(tmp_path, "audit", {})
    with pytest.raises(DataError, match="audit"):
        manifest.check(tmp_path, "model", DataError)
    for content in ("", "[]", '{"kind": "audit"}'):
        (tmp_path / "manifest.json").write_text(content)
        with pytest.raises(StorageError, match="unreadable"):
            manifest.check(tmp_path)


def test_a_linked_folder_cannot_hide(tmp_path):
    manifest.seal(tmp_path, "audit", {})
    (tmp_path / "link").symlink_to("/")
    with pytest.raises(StorageError, match=r"link in .* not listed"):
        manifest.check(tmp_path)
