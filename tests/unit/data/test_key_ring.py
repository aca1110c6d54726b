"""Rotation: one file of bytes is version 1; what was erased under a former secret stays erased and is found."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.data.conftest import SECRET, Made
from tmu.data.erase import erase
from tmu.data.importer import import_records
from tmu.data.key_ring import KeyRing, read_ring, write_ring
from tmu.data.keys import Keys
from tmu.data.records import Record
from tmu.data.store import RecordStore
from tmu.errors import ConfigError, DataError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "hash.key"
    path.write_bytes(SECRET)
    return path


class Real(Made):
    """The same people, taken for real ones."""

    simulated = False


class Again(Real):
    """The same pictures under other record ids."""

    def records(self) -> Iterator[Record]:
        for record in super().records():
            yield dataclasses.replace(record, id=f"again-{record.id}")


def test_a_file_of_bytes_is_version_one(file: Path) -> None:
    ring = read_ring(file)
    assert [each.version for each in ring.secrets] == [1]
    assert ring.keys.id == ring.current.id == Keys(SECRET).id
    assert ring.keys.former == ()


def test_a_rotation_adds_a_secret_and_keeps_the_former(file: Path) -> None:
    write_ring(file, read_ring(file).rotated().rotated())
    ring = read_ring(file)
    assert [each.version for each in ring.secrets] == [1, 2, 3]
    assert len({each.id for each in ring.secrets}) == 3
    assert [each.id for each in ring.keys.former] == [ring.secrets[1].id, ring.secrets[0].id]
    assert ring.under(Keys(SECRET).id).former == ()
    assert ring.under("0" * 16) is None
    assert file.stat().st_mode & 0o077 == 0
    assert SECRET.hex() not in repr(ring)


@pytest.mark.parametrize("raw", [b"short", b'{"form":"tmu key ring","secrets":[]}', b'{"form":"tmu key ring"'])
def test_a_damaged_file_is_refused(file: Path, raw: bytes) -> None:
    file.write_bytes(raw)
    with pytest.raises(ConfigError):
        read_ring(file)


def test_who_was_erased_under_a_former_secret_does_not_come_back(tmp_path: Path, file: Path) -> None:
    ring = read_ring(file)
    old, new = ring.keys, ring.rotated().keys
    import_records(Real(), tmp_path / "data", old, n_buckets=8)
    index = RecordStore.open(tmp_path / "data", old).index()
    person = old.subject("person-3")
    erase(tmp_path / "data", tmp_path / "next", index.keys_at(index.find_subject(person)))
    erase(tmp_path / "next", tmp_path / "last", [old.record("r0")])  # one record of a person who stays
    for reader, left_out in ((Real(), 7), (Again(), 6)):
        imported = import_records(reader, tmp_path / "last", new, n_buckets=8, replace=True)
        assert imported.skipped_erased == left_out
        store = RecordStore.open(tmp_path / "last", new)
        assert not len(store.index().find_subject(new.subject("person-3")))
        assert store.index().is_erased_subject(person)
        assert store.verify()["records"] == 120 - left_out


def test_without_the_former_secret_the_import_is_refused(tmp_path: Path, file: Path) -> None:
    old = read_ring(file).keys
    import_records(Real(), tmp_path / "data", old, n_buckets=8)
    erase(tmp_path / "data", tmp_path / "next", [old.record("r0")])
    with pytest.raises(DataError, match="another secret"):
        import_records(Real(), tmp_path / "next", Keys(b"y" * 32), n_buckets=8, replace=True)


def test_who_is_suppressed_under_a_former_secret_is_left_out(tmp_path: Path, file: Path) -> None:
    ring = read_ring(file)
    old, new = ring.keys, ring.rotated().keys
    marked = {old.record("r5"), old.subject("person-7")}
    test: Callable[[str], bool] = marked.__contains__
    imported = import_records(Real(), tmp_path / "data", new, n_buckets=8, suppressed=test)
    assert imported.skipped_erased == 1 + 6
    assert isinstance(ring, KeyRing)
