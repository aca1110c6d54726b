"""The records of an audit without golds: whole people from some shards, and who knows whom."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.data.conftest import SECRET, Made
from tmu.data.importer import import_records
from tmu.data.keys import Keys, key64
from tmu.data.records import SPLITS
from tmu.data.store import RecordStore
from tmu.errors import RequestError
from tmu.references.halves import learned_by
from tmu.references.rows import ReferenceRows
from tmu.refs import DataRef, ForgetRef, ReferencesRef
from tmu.steps import audit_sets, table_sets

DATA = DataRef(uri="data", digest="0.dir")
FORGET = ForgetRef(uri="forget/1", digest="1", data_digest="0.dir")
TABLE = ReferencesRef(uri="references/1", digest="1")
PEOPLE, PAIRS = 400, 2
KEYS = Keys(SECRET)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RecordStore:
    folder = tmp_path_factory.mktemp("store") / "data"
    import_records(Made(n=4000, people=PEOPLE), folder, KEYS, n_buckets=32, holdout=0.1, test=0.3)
    return RecordStore.open(folder, KEYS)


@pytest.fixture
def asked(store: RecordStore, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """One person asks; the table of all records, and which of its shards were read."""
    index, read = store.index(), []
    person = KEYS.subject("person-7")
    keys = frozenset(index.keys_at(index.find_subject(person)))
    trained = torch.from_numpy(index.splits == SPLITS.index("train"))
    seen = learned_by(torch.from_numpy(key64(index.subject_keys)), trained, PAIRS, 0)
    logp = torch.full((len(index), 2 * PAIRS, 3), -1.0)
    rows = ReferenceRows(torch.from_numpy(key64(index.record_keys)), torch.from_numpy(index.labels).long(), seen, logp)

    def of_buckets(_workspace: None, _ref: ReferencesRef, buckets: list[int]) -> ReferenceRows:
        read.append(buckets)
        return rows.take(torch.from_numpy(np.isin(index.buckets, buckets)))

    for module in (audit_sets, table_sets):
        monkeypatch.setattr(module, "open_store", lambda *_: store)
        monkeypatch.setattr(module, "forget_keys", lambda *_: keys)
    monkeypatch.setattr(table_sets, "read_info", lambda *_: {"buckets": list(range(32))})
    monkeypatch.setattr(table_sets, "read_rows", of_buckets)
    return read


def _sets(sample: int = 300) -> dict[str, table_sets.Drawn]:
    return table_sets.table_sets(None, DATA, FORGET, TABLE, sample, 0)


def test_the_sample_is_whole_people_of_a_few_shards(store: RecordStore, asked: list[list[int]]) -> None:
    found, index = _sets(), store.index()
    assert 150 <= len(found["retain"].rows) < 300
    assert 300 <= len(found["test"].rows) < 600
    assert len(asked[0]) < 16  # of 32 shards: the others are not read
    keys = set(found["retain"].examples.keys.tolist())
    position = {key: place for place, key in enumerate(key64(index.record_keys).tolist())}
    for person in {index.subject_keys[position[key]] for key in keys}:
        own = index.subject_keys == person
        train = key64(index.record_keys[own & (index.splits == SPLITS.index("train"))])
        assert set(train.tolist()) <= keys


def test_rows_and_records_are_in_one_order_and_the_person_who_left_is_in_neither(asked: list[list[int]]) -> None:
    found = _sets()
    for part in found.values():
        assert part.rows.keys.equal(part.examples.keys)
        assert part.rows.labels.equal(part.examples.labels)
        assert len(part.subjects) == len(part.rows)
    gone = set(found["forget"].subjects.tolist())
    assert len(gone) == 1
    assert not gone & set(found["retain"].subjects) | gone & set(found["test"].subjects)


def test_a_test_record_names_the_networks_that_know_its_person(asked: list[list[int]]) -> None:
    found = _sets()
    retain, test = found["retain"], found["test"]
    by_person = dict(zip(retain.subjects.tolist(), retain.rows.seen.numpy(), strict=True))
    both = [place for place, person in enumerate(test.subjects.tolist()) if person in by_person]
    assert len(both) > 50
    for place in both:
        assert np.array_equal(test.acquainted[place], by_person[test.subjects[place]])


def test_an_audit_of_few_never_seen_records_is_known_not_to_be_possible(
    store: RecordStore, asked: list[list[int]]
) -> None:
    index = store.index()
    unseen = np.flatnonzero(index.splits == SPLITS.index("test"))  # so many that the hold-out does not count
    assert len(unseen) > table_sets.ENOUGH and not table_sets.cannot_audit(None, DATA, FORGET)
    assert table_sets.too_few_unseen(store, unseen[99:]) is None
    assert table_sets.too_few_unseen(store, unseen[98:]).endswith("test set and hold-out, and 98 stay")


def test_the_same_shards_are_looked_at_for_every_request(asked: list[list[int]]) -> None:
    first = _sets()["test"].examples.keys
    assert first.equal(_sets()["test"].examples.keys)


def test_a_request_without_training_records_is_refused(
    store: RecordStore, asked: list[list[int]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    index = store.index()
    only = frozenset(index.keys_at(np.flatnonzero(index.splits == SPLITS.index("test"))[:3]))
    monkeypatch.setattr(table_sets, "forget_keys", lambda *_: only)
    with pytest.raises(RequestError, match="No training record"):
        _sets()
