"""Parts of artifacts: only the wanted files are fetched and verified, and an artifact derived from another shares the
rest with it; the same for a folder and for S3."""

from pathlib import Path

import pytest

from tests.artifact_tools import s3
from tmu import manifest
from tmu.errors import StorageError
from tmu.stores.artifacts import Held, LocalArtifacts
from tmu.stores.artifacts_s3 import S3Artifacts

IDENTITY = {"stage": "references", "data": "a"}
LATER = {"stage": "erase-references", "data": "b"}
NAMES = ("00.safetensors", "01.safetensors", "02.safetensors")


def make(store, key: str = "k1") -> Held:
    with store.create("references", key, IDENTITY, {"seconds": 1}) as folder:
        for name in NAMES:
            (folder / name).write_text(f"rows of {name}")
    return next(held for held in store.manifests("references") if held.uri == f"references/{key}")


def damage(folder: Path, name: str) -> None:
    (folder / name).chmod(0o600)
    (folder / name).write_text("other rows")


def test_manifests_tell_address_digest_and_identity(store) -> None:
    assert store.manifests("references") == []
    first, second = make(store), make(store, "k2")
    assert [held.uri for held in store.manifests("references")] == ["references/k1", "references/k2"]
    assert first.digest == second.digest == store.digest(store.find("references", "k1"))
    assert first.manifest["identity"] == IDENTITY
    assert set(first.manifest["files"]) == set(NAMES)
    assert store.manifests("model") == []


def test_a_manifest_in_s3_is_fetched_again_only_where_the_listing_tells_a_change(bucket, tmp_path, monkeypatch) -> None:
    store, other = s3(tmp_path / "one"), s3(tmp_path / "two")
    make(store), make(store, "k2")
    fetched: list[str] = []
    real = store._tagged
    monkeypatch.setattr(store._manifests, "_get", lambda key: fetched.append(key) or real(key))
    assert [held.uri for held in store.manifests("references")] == ["references/k1", "references/k2"]
    assert fetched == []
    other.remove("references/k1")
    with other.create("references", "k2", LATER):
        pass
    other.versions.destroy(other.versions.of("team/tmu/references/k2/manifest.json"))
    with other.create("references", "k3", LATER):
        pass
    assert [held.uri for held in store.manifests("references")] == ["references/k3"]
    bucket.put_object(
        Key="team/tmu/references/k3/manifest.json", Body=b'{"kind": "references", "identity": {}, "files": {}}'
    )
    (held,) = store.manifests("references")
    assert (held.manifest["identity"], fetched) == ({}, 2 * ["team/tmu/references/k3/manifest.json"])


def test_only_the_wanted_files_are_looked_at(tmp_path) -> None:
    store = LocalArtifacts(tmp_path / "artifacts", tmp_path)
    held = make(store)
    folder = store.folder("references", "k1")
    damage(folder, NAMES[0])
    assert store.find("references", "k1") is None
    assert store.fetch(held.uri, held.digest, [NAMES[1]]) == folder
    with pytest.raises(StorageError, match=r"00\.safetensors"):
        store.fetch(held.uri, held.digest, [NAMES[0], NAMES[1]])


def test_only_the_wanted_files_are_downloaded_and_a_damaged_one_is_fetched_again(bucket, tmp_path) -> None:
    held = make(s3(tmp_path / "here"))
    there = s3(tmp_path / "there")
    folder = there.fetch(held.uri, held.digest, [NAMES[1]])
    assert sorted(path.name for path in folder.iterdir()) == [NAMES[1], manifest.MANIFEST, manifest.RUN]
    damage(folder, NAMES[1])
    assert (there.fetch(held.uri, held.digest, [NAMES[1]]) / NAMES[1]).read_text() == f"rows of {NAMES[1]}"
    # the whole one, asked for later, is completed
    assert sorted(path.name for path in there.find("references", "k1").iterdir())[:3] == list(NAMES)


def test_a_file_that_was_changed_in_the_bucket_is_refused(bucket, tmp_path) -> None:
    held = make(s3(tmp_path / "here"))
    for each in bucket.objects.all():
        if each.key.endswith(NAMES[1]):
            bucket.Object(each.key).put(Body=b"other rows")
    there = s3(tmp_path / "there")
    assert there.fetch(held.uri, held.digest, [NAMES[0]])
    with pytest.raises(StorageError, match=r"01\.safetensors"):
        there.fetch(held.uri, held.digest, [NAMES[1]])


def test_a_part_of_another_artifact_or_an_unlisted_file_is_refused(store) -> None:
    held = make(store)
    with pytest.raises(StorageError, match="not the one referred to"):
        store.fetch(held.uri, "0" * 64, [NAMES[0]])
    with pytest.raises(StorageError, match="not listed"):
        store.fetch(held.uri, held.digest, ["ff.safetensors"])
    with pytest.raises(StorageError):
        store.fetch("references/none", held.digest, [NAMES[0]])


def test_a_part_of_a_stages_output(store, tmp_path) -> None:
    folder = tmp_path / "out" / "references"
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / name).write_text(name)
    manifest.seal(folder, "references", IDENTITY)
    digest = store.digest(folder)
    damage(folder, NAMES[0])
    assert store.fetch("file:out/references", digest, NAMES[1:]) == folder
    with pytest.raises(StorageError, match=r"00\.safetensors"):
        store.fetch("file:out/references", digest, NAMES[:1])


def derive(store, source: Held, text: str = "fewer rows") -> Held:
    with store.derive(source, "k2", LATER, {"seconds": 1}) as folder:
        (folder / NAMES[1]).write_text(text)
    return next(held for held in store.manifests("references") if held.uri == "references/k2")


def test_a_derived_artifact_is_whole_and_the_source_stays(store) -> None:
    source = make(store)
    made = derive(store, source)
    folder = store.fetch(made.uri, made.digest)
    assert [(folder / name).read_text() for name in NAMES] == [
        f"rows of {NAMES[0]}",
        "fewer rows",
        f"rows of {NAMES[2]}",
    ]
    assert manifest.check(folder)["identity"] == LATER
    before = store.fetch(source.uri, source.digest)
    assert (before / NAMES[1]).read_text() == f"rows of {NAMES[1]}"
    assert derive(store, source) == made


def test_what_stays_is_linked_and_not_read(tmp_path, monkeypatch) -> None:
    store = LocalArtifacts(tmp_path / "artifacts", tmp_path)
    source, read = make(store), []
    real = manifest.sha256_file
    monkeypatch.setattr(manifest, "sha256_file", lambda path: read.append(path.name) or real(path))
    made = derive(store, source)
    assert set(read) == {NAMES[1], manifest.MANIFEST}
    old, new = (store.folder("references", key) for key in ("k1", "k2"))
    assert [(old / name).stat().st_ino == (new / name).stat().st_ino for name in NAMES] == [True, False, True]
    assert made.manifest["files"][NAMES[0]] == source.manifest["files"][NAMES[0]]


def test_a_digest_that_is_taken_over_still_guards_the_file(tmp_path) -> None:
    """A source that was damaged before does not become sound by being linked."""
    store = LocalArtifacts(tmp_path / "artifacts", tmp_path)
    source = make(store)
    damage(store.folder("references", "k1"), NAMES[0])
    made = derive(store, source)
    with pytest.raises(StorageError, match=r"00\.safetensors"):
        store.fetch(made.uri, made.digest, [NAMES[0]])


def test_in_s3_the_service_copies_what_stays(bucket, tmp_path) -> None:
    held = make(s3(tmp_path / "here"))
    there = s3(tmp_path / "there")
    there.fetch(held.uri, held.digest, [NAMES[1]])
    made = derive(there, held)
    assert not (tmp_path / "there" / "cache" / "references" / "k2" / NAMES[0]).exists()
    elsewhere = s3(tmp_path / "elsewhere").fetch(made.uri, made.digest)
    assert (elsewhere / NAMES[0]).read_text() == f"rows of {NAMES[0]}"


def test_a_failed_derivation_leaves_nothing(store) -> None:
    source = make(store)
    with pytest.raises(RuntimeError), store.derive(source, "k2", LATER) as folder:
        (folder / NAMES[1]).write_text("half")
        raise RuntimeError
    assert [held.uri for held in store.manifests("references")] == ["references/k1"]


def test_what_is_removed_is_gone(store, request) -> None:
    first, second = make(store), make(store, "k2")
    store.remove(first.uri)
    store.remove(first.uri)
    assert [held.uri for held in store.manifests("references")] == ["references/k2"]
    assert store.find("references", "k1") is None
    assert store.fetch(second.uri, second.digest)
    if isinstance(store, S3Artifacts):
        left = [each.key for each in request.getfixturevalue("bucket").objects.all()]
        assert left
        assert not [key for key in left if "/k1/" in key]


def test_an_address_outside_is_not_removed(store) -> None:
    for uri in ("references/../k1", "../k1", "references/"):
        with pytest.raises(StorageError, match="address"):
            store.remove(uri)
