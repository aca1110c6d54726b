"""A store from which B was erased holds exactly A without B, however the erasure was cut into steps."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tmu.data.digest import dvc_digest
from tmu.data.erase import erase
from tmu.data.importer import import_records
from tmu.data.keys import DEMO_SECRET, Keys, from_hex, to_hex
from tmu.data.readers import Reader
from tmu.data.records import Record
from tmu.data.store import RecordStore

KEYS = Keys(DEMO_SECRET)


class Listed(Reader):
    """Record i is about person `people[i]`, alternates between two classes, and is all training."""

    name, simulated = "listed", True

    def __init__(self, people: list[int]):
        self.people = people

    def classes(self) -> list[str]:
        return ["a", "b"]

    def shape(self) -> tuple[int, int, int]:
        return 1, 2, 2

    def records(self):
        for number, person in enumerate(self.people):
            image = np.full((1, 2, 2), number, np.uint8)
            yield Record(str(number), None if person == 0 else str(person), number % 2, image, "train")


def content(path: Path) -> dict[str, bytes]:
    arrays = RecordStore.open(path).load("train")
    return {key: image.tobytes() for key, image in zip(arrays.keys, arrays.images, strict=True)}


@given(
    people=st.lists(st.integers(0, 4), min_size=2, max_size=24),
    steps=st.lists(st.integers(0, 2), min_size=24, max_size=24),
    n_buckets=st.sampled_from([1, 3, 16]),
)
@settings(max_examples=25, deadline=None)
def test_erasure_is_set_difference(people, steps, n_buckets):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        import_records(Listed(people), root / "a", KEYS, n_buckets=n_buckets)
        keys = [KEYS.record(str(number)) for number in range(len(people))]
        first, second = ([key for key, when in zip(keys, steps, strict=False) if when == step] for step in (1, 2))
        was = content(root / "a")
        erase(root / "a", root / "b", first)
        erase(root / "b", root / "c", second)
        gone = set(first) | set(second)
        assert content(root / "c") == {key: image for key, image in was.items() if key not in gone}
        erase(root / "a", root / "once", gone)
        assert dvc_digest(root / "once") == dvc_digest(root / "c")
        store = RecordStore.open(root / "c")
        store.verify()
        assert store.index().erased == gone
        lost = {
            person
            for person in people
            if person
            and not any(when not in (1, 2) for other, when in zip(people, steps, strict=False) if other == person)
        }
        known = {KEYS.subject(str(person)) for person in set(people) - {0}}
        assert store.index().erased_subjects & known == {KEYS.subject(str(person)) for person in lost}


class Shared(Listed):
    """Record i shows all the people of `people[i]`."""

    def records(self):
        for number, (first, *also) in enumerate(self.people):
            image = np.full((1, 2, 2), number, np.uint8)
            yield Record(str(number), str(first), number % 2, image, "train", tuple(map(str, also)))


@given(
    people=st.lists(st.sets(st.integers(1, 5), min_size=1, max_size=3).map(sorted), min_size=2, max_size=16),
    order=st.permutations([1, 2, 3, 4, 5]),
    n_buckets=st.sampled_from([1, 3, 16]),
)
@settings(max_examples=25, deadline=None)
def test_who_is_erased_is_in_no_picture_and_all_others_keep_theirs(people, order, n_buckets):
    """Two people, one after the other and at once; a plain table of who is where is the oracle."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        import_records(Shared(people), root / "a", KEYS, n_buckets=n_buckets)
        gone, steps = set(), ["a"]
        for person in order[:2]:
            index = RecordStore.open(root / steps[-1]).index()
            mine = index.keys_at(index.find_subject(KEYS.subject(str(person))))
            expected = {number for number, them in enumerate(people) if person in them} - gone
            assert mine == sorted(KEYS.record(str(number)) for number in expected)
            gone |= expected
            steps.append(f"after-{person}")
            erase(root / steps[-2], root / steps[-1], mine)
        erase(root / "a", root / "once", [KEYS.record(str(number)) for number in gone])
        assert dvc_digest(root / "once") == dvc_digest(root / steps[-1])
        after = RecordStore.open(root / "once")
        after.verify()
        index = after.index()
        for person in range(1, 6):
            had = {number for number, them in enumerate(people) if person in them}
            left = index.keys_at(index.find_subject(KEYS.subject(str(person))))
            assert left == sorted(KEYS.record(str(number)) for number in had - gone)
            assert index.is_erased_subject(KEYS.subject(str(person))) == bool(had and not had - gone)


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=30))
def test_key_arrays_sort_and_look_up_as_bytes_do(raw):
    keys = from_hex([key.hex() for key in raw])
    assert to_hex(np.sort(keys)) == sorted(key.hex() for key in raw)
    assert to_hex(np.unique(keys)) == sorted({key.hex() for key in raw})
    if raw:
        assert np.isin(keys, keys[:1]).tolist() == [key == raw[0] for key in raw]
