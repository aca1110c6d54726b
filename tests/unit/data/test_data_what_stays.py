"""What a deletion leaves: identical pictures and ids that are alike; and the cache by which that is known."""

import numpy as np
import pytest

from tmu.data import contents
from tmu.data.erase import erase
from tmu.data.records import Record
from tmu.data.store import RecordStore
from tmu.data.what_stays import Stays, copies_of, what_stays
from tmu.errors import StorageError

# picture, person, split
ROWS = [
    ("a", "anna", "train"),
    ("b", "anna", "test"),
    ("a", "bert", "train"),
    ("a", "carl", "holdout"),
    ("b", "anna", "train"),
]
ROWS += [(f"x{number}", f"p{number % 6}", "train") for number in range(24)]
ROWS += [("y1", "Zoe", "train"), ("y2", "zoe", "test"), ("y3", "zoe", "train")]


@pytest.fixture
def store(make_store, made):
    pictures = {name: number for number, name in enumerate(sorted({name for name, _, _ in ROWS}))}

    class Copies(made):
        simulated = False

        def records(self):
            for number, (picture, person, split) in enumerate(ROWS):
                image = np.full(self.form, pictures[picture], np.uint8)
                yield Record(f"r{number}", person, number % 3, image, split)

    return make_store(reader=Copies())


def stays(store, keys, *people, records=()):
    index = store.index()
    subjects = [keys.subject(name) for name in people]
    rows = [*map(index.find_subject, subjects), index.find_records([keys.record(name) for name in records])[0]]
    return what_stays(store, np.unique(np.concatenate(rows)), subjects)


def test_identical_pictures_of_others_are_counted_by_split(store, keys):
    found = stays(store, keys, "anna")
    assert found.copies == {"train": 1, "holdout": 1, "test": 0}
    assert (found.n_copies, found.people) == (2, 2)
    (sentence,) = found.sentences
    assert sentence.startswith("2 identical pictures under other ids (2 people): 1 train, 1 holdout. The model keeps")
    assert "--with-copies" in sentence


def test_the_same_person_under_another_id_of_a_record(store, keys):
    found = stays(store, keys, records=["r1"])
    assert (found.copies["train"], found.people) == (1, 1)  # r4, anna's own


def test_a_picture_that_is_once_there_leaves_nothing(store, keys):
    found = stays(store, keys, "p1")
    assert found == Stays(copies={"train": 0, "holdout": 0, "test": 0})
    assert found.sentences == ()


@pytest.mark.parametrize(
    ("named", "counts", "said"),
    [
        (["anna"], (2, 2), "2 pictures of these also show 2 people who are not named: they go for all of them."),
        (["anna", "bert"], (1, 1), "1 picture of these also shows 1 person who is not named: it goes for all of them."),
        (["anna", "bert", "carl"], (0, 0), None),
        (["dora"], (0, 0), None),
    ],
)
def test_pictures_of_people_who_are_not_named_are_a_warning(make_store, made, keys, named, counts, said):
    people = [("anna",), ("anna", "bert"), ("anna", "bert", "carl"), ("dora",), ("dora",), ("emil",)]

    class Shared(made):
        def records(self):
            for number, (first, *also) in enumerate(people):
                image = np.full(self.form, number, np.uint8)
                yield Record(f"r{number}", first, number % 3, image, "train", tuple(also))

    found = stays(make_store(reader=Shared()), keys, *named)
    assert (found.shared, found.others) == counts
    assert found.warnings(3) == ((said,) if said else ())


def test_all_copies_at_once_leave_nothing(store, keys):
    assert stays(store, keys, "anna", "bert", "carl").n_copies == 0


def test_the_plan_never_says_that_no_model_learned_what_a_copy_taught_it(store, keys):
    holdout = stays(store, keys, "carl")
    (warning,) = holdout.warnings(0)
    assert warning.startswith("None of these records is in train, but 2 identical pictures are")
    assert "No model has learned" not in warning
    assert Stays(copies={"train": 0, "holdout": 3, "test": 0}).warnings(0) == (
        "No model has learned these records: only the data change.",
    )
    assert holdout.warnings(1) == ()


def test_ids_alike_are_counted_and_nobody_is_named(store, keys):
    found = stays(store, keys, "Zoe")
    assert (found.alike_people, found.alike_records) == (1, 2)
    assert "2 records of 1 person whose id differs" in found.sentences[0]
    assert stays(store, keys, "Zoe", "zoe").alike_people == 0
    assert stays(store, keys, "anna").alike_people == 0


def test_who_is_alike_and_gone_is_not_told(store, tmp_path, keys):
    index = store.index()
    erase(store.path, tmp_path / "next", index.keys_at(index.find_subject(keys.subject("zoe"))))
    after = RecordStore.open(tmp_path / "next")
    after.verify()
    assert stays(after, keys, "Zoe").alike_people == 0


def test_copies_are_found_by_key(store, keys):
    found = copies_of(store, [keys.subject("anna"), keys.subject("nobody")], [keys.record("nothing")])
    assert sorted(found) == sorted(map(keys.record, ("r2", "r3")))
    assert copies_of(store, [keys.subject("p1")], []) == []


def test_the_cache_is_used_kept_in_step_and_never_believed_blindly(store, tmp_path, keys, monkeypatch):
    cache = tmp_path / "contents"
    assert contents.note(store.path, cache) == 0
    parts = {path.name: path.read_bytes() for path in cache.iterdir()}
    assert all(path.stat().st_mode & 0o77 == 0 for path in cache.iterdir())

    def opened():
        return RecordStore.open(store.path, contents=cache)

    with monkeypatch.context() as without:
        without.setattr(contents, "read_stored", lambda path: pytest.fail("an image was decoded"))
        assert stays(opened(), keys, "anna") == stays(opened(), keys, "anna")
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == parts  # a plan writes nothing
    for path in cache.iterdir():  # changed, truncated
        path.write_bytes(bytes(16) + path.read_bytes()[16:])
    assert stays(opened(), keys, "anna").n_copies == 2
    erase(store.path, tmp_path / "next", [keys.record("r0")])
    assert contents.note(tmp_path / "next", cache) >= 1
    assert len(list(cache.iterdir())) == len(list((tmp_path / "next" / "shards").iterdir()))
    assert contents.prune(cache, []) == len(list((tmp_path / "next" / "shards").iterdir()))


def test_a_store_that_changes_meanwhile_is_noticed(store, tmp_path, keys):
    index = store.index()
    erase(store.path, tmp_path / "next", [keys.record("r0")])
    with pytest.raises(StorageError, match="changed while"):
        contents.Contents.build(tmp_path / "next", index, None)


def test_a_hundred_thousand_equal_pictures_are_counted_without_looking_at_each():
    from tmu.data.index import Index

    n = 100_000
    stream = np.random.default_rng(1)
    keys = np.sort(stream.integers(0, 256, (n, 16), np.uint8).view("S16")[:, 0])
    zeros = np.zeros(n, np.int32)
    splits = stream.integers(0, 3, n).astype(np.int8)
    index = Index(keys, keys, zeros, splits, zeros, zeros, frozenset(), frozenset())
    found = contents.Contents(index, np.full(n, b"same", "S16"), np.empty((n, 64), np.uint8))
    positions = np.arange(10)
    counts = found.copies_by_split(positions)
    assert counts.sum() == n - 10
    assert np.array_equal(counts, np.bincount(splits, minlength=3) - np.bincount(splits[:10], minlength=3))


def test_what_an_older_version_cached_belongs_to_nothing(store, tmp_path):
    cache = tmp_path / "contents"
    contents.note(store.path, cache)
    (cache / f"{'0' * 64}.pixels").write_bytes(bytes(32))
    assert contents.dead(cache, [store.path]) == [cache / f"{'0' * 64}.pixels"]
    assert contents.note(store.path, cache) == 1
