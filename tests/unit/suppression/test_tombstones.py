"""Tombstones: what was erased is recognised, and a file that was tampered with is refused."""

from pathlib import Path

import pytest

from tmu.errors import ConfigError, DataError
from tmu.suppression.tombstones import SECRET, Erased, Tombstones, read_tombstones

A, B, C = (f"{number:032x}" for number in (1, 2, 3))


def erased(request: str = "r1", *records: str, **more: object) -> Erased:
    return Erased(request=request, key_id="k", before="x.dir", after="y.dir", records=records, **more)


@pytest.fixture
def place(tmp_path: Path) -> Tombstones:
    return Tombstones(tmp_path / "suppression")


def test_erased_keys_are_recognised_and_nothing_else(place: Tombstones) -> None:
    assert place.suppressed([A, B]) == frozenset()
    assert place.add(erased("r1", A, subjects=(B,)))
    assert place.suppressed([A, B, C]) == {A, B}


def test_the_file_holds_no_key(place: Tombstones) -> None:
    place.add(erased("r1", A))
    text = place.path.read_bytes()
    assert A.encode() not in text and bytes.fromhex(A) not in text


def test_the_same_deletion_is_one_line_and_further_facts_are_another(place: Tombstones) -> None:
    assert place.add(erased("r1", A))
    assert not place.add(erased("r1", A))
    assert place.add(erased("r1", weights=("w",)))
    assert [each.weights for each in place.all()] == [(), ("w",)]


@pytest.mark.parametrize("fault", ["changed", "taken out", "no tombstone"])
def test_a_tampered_file_is_refused(place: Tombstones, fault: str) -> None:
    for number, key in enumerate((A, B, C)):
        place.add(erased(f"r{number}", key))
    lines = place.path.read_bytes().splitlines(keepends=True)
    lines[1] = {"changed": lines[1].replace(b'"r1"', b'"r9"'), "taken out": b"", "no tombstone": b"{}\n"}[fault]
    place.path.write_bytes(b"".join(lines))
    with pytest.raises(DataError, match=r"Line [23]"):
        place.all()


def test_a_line_that_a_kill_cut_is_written_again(place: Tombstones) -> None:
    place.add(erased("r1", A))
    whole = place.path.read_bytes()
    with open(place.path, "ab") as file:
        file.write(whole[: len(whole) // 2])
    assert [each.request for each in place.all()] == ["r1"]
    place.add(erased("r2", B))
    assert [each.request for each in place.all()] == ["r1", "r2"]


def test_a_copy_brings_what_is_missing_once(place: Tombstones, tmp_path: Path) -> None:
    place.add(erased("r1", A))
    other = Tombstones(tmp_path / "other")
    other.folder.mkdir()
    (other.folder / SECRET).write_bytes((place.folder / SECRET).read_bytes())
    other.add(erased("r2", B))
    assert place.merge(read_tombstones(other.path)) == 1
    assert place.merge(read_tombstones(other.path)) == 0
    assert place.suppressed([A, B, C]) == {A, B}


def test_without_its_secret_nothing_is_guessed(place: Tombstones) -> None:
    place.add(erased("r1", A))
    (place.folder / SECRET).write_bytes(b"x" * 32)
    with pytest.raises(ConfigError, match="secret"):
        place.suppressed([A])
    (place.folder / SECRET).unlink()
    with pytest.raises(ConfigError, match="secret"):
        place.suppressed([A])
