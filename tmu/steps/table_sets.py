"""The records of an audit without golds: forget set, a sample of the people who stay, records that nobody learned.

The sample is whole shards of the record store, and with them whole people, in an order that the seed decides: nothing
passes over all of D, and the cost does not grow with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from tmu.audit.unseen import LEAST_UNSEEN, looked_at
from tmu.data.keys import key64, to_hex
from tmu.data.records import SPLITS
from tmu.data.store import RecordStore
from tmu.errors import RequestError
from tmu.references.rows import ReferenceRows
from tmu.refs import DataRef, ForgetRef, ReferencesRef
from tmu.steps.audit_sets import subjects_of
from tmu.steps.loading import forget_keys, open_store, pictures_at
from tmu.steps.read_references import read_info, read_rows
from tmu.train import Examples
from tmu.train.order import hash_keys, stream
from tmu.workspace import Workspace

ENOUGH = 500  # test records below which the hold-out is looked at, too


@dataclass(frozen=True, eq=False)
class Drawn:
    """One part: its records, their references' rows in the same order, and a number for each person.

    acquainted: see `tmu.audit.by_table.Part`.
    """

    examples: Examples
    rows: ReferenceRows
    subjects: np.ndarray
    acquainted: np.ndarray | None = None


def table_sets(
    workspace: Workspace, data: DataRef, forget: ForgetRef, references: ReferencesRef, sample: int, seed: int
) -> dict[str, Drawn]:
    """Load what the audit looks at: about `sample` never-seen records and half as many who stay (`looked_at`), whole
    shards.

    → forget, retain (a sample), test. A forgotten person's test records are left out: they are to be erased, too.
    Raises RequestError where no training record was forgotten, DataError where the table holds no rows of a shard.
    """
    store = open_store(workspace, data)
    index = store.index()
    gone = index.find_records(forget_keys(workspace, forget))[0]
    forgotten = gone[index.splits[gone] == SPLITS.index("train")]
    if not len(forgotten):
        raise RequestError("No training record was forgotten.", "There is no model to audit; the data are erased.")
    held = read_info(workspace, references)["buckets"]
    retain, test = _sample(store, np.array(held), gone, sample, seed)
    places = {"forget": forgotten, "retain": retain, "test": test}
    buckets = np.unique(index.buckets[np.concatenate([*places.values()])])
    rows = read_rows(workspace, references, [int(bucket) for bucket in buckets])
    people = {name: to_hex(index.subject_keys[each]) for name, each in places.items()}
    people["forget"] = subjects_of(workspace, data, forget)
    _, numbers = np.unique(np.concatenate([*people.values()]), return_inverse=True)
    split = np.split(numbers, np.cumsum([len(each) for each in places.values()])[:-1])
    parts = {}
    for (name, positions), subjects in zip(places.items(), split, strict=True):
        keys = torch.from_numpy(key64(index.record_keys[positions]))
        labels = torch.from_numpy(store.info.outputs[index.labels[positions]])
        examples = Examples(pictures_at(store, positions), labels, keys)
        acquainted = acquainted_with(store, positions, rows) if name == "test" else None
        parts[name] = Drawn(examples, rows.aligned(keys), subjects.astype(np.int64), acquainted)
    return parts


def too_few_unseen(store: RecordStore, gone: np.ndarray) -> str | None:
    """Why no audit without golds is possible once the records at `gone` have left; None where one is."""
    unseen = _never_seen(store)
    unseen[gone] = False
    number = int(unseen.sum())
    if number >= LEAST_UNSEEN:
        return None
    return f"an audit needs {LEAST_UNSEEN} records of test set and hold-out, and {number} stay"


def cannot_audit(workspace: Workspace, data: DataRef, forget: ForgetRef) -> bool:
    """Whether so few never-seen records stay that no audit without golds is possible."""
    store = open_store(workspace, data)
    return too_few_unseen(store, store.index().find_records(forget_keys(workspace, forget))[0]) is not None


def _never_seen(store: RecordStore) -> np.ndarray:
    """Which records no model learned, bool (N,). The hold-out counts only where the test set is small.

    Of a retired class no network has an output.
    """
    index = store.index()
    holdout, test = (index.splits == SPLITS.index(name) for name in ("holdout", "test"))
    never = test if test.sum() >= ENOUGH else test | holdout
    return never & (store.info.outputs[index.labels] >= 0)


def _sample(
    store: RecordStore, held: np.ndarray, gone: np.ndarray, sample: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of staying and of never-seen records, from shards in the seed's order until each are enough."""
    index, never, enough = store.index(), _never_seen(store), looked_at(sample)
    train = index.splits == SPLITS.index("train")
    stays = store.info.outputs[index.labels] >= 0  # of a retired class no network has an output
    stays[gone] = False
    staying, unseen = [], []
    for bucket in _in_order(held, seed):
        here = stays & (index.buckets == bucket)
        if sum(map(len, staying)) < enough["retain"]:
            staying.append(np.flatnonzero(here & train))
        unseen.append(np.flatnonzero(here & never))
        if sum(map(len, staying)) >= enough["retain"] and sum(map(len, unseen)) >= enough["test"]:
            break
    return np.sort(np.concatenate(staying)), np.sort(np.concatenate(unseen))


def _in_order(buckets: np.ndarray, seed: int) -> Iterator[int]:
    """The shards in an order of the seed, so that every audit of a data revision looks at the same ones."""
    place = hash_keys(torch.from_numpy(buckets.astype(np.int64)), stream(seed, "audited shards"))
    yield from (int(bucket) for bucket in buckets[np.argsort(place, kind="stable")])


def acquainted_with(store: RecordStore, test: np.ndarray, rows: ReferenceRows) -> np.ndarray | None:
    """Which networks learned others of the same person, bool (N, M); None where D holds none of these people.

    All records of a person lie in one shard, so that the rows are among those that were read.
    """
    index = store.index()
    people, person = np.unique(index.subject_keys[test], return_inverse=True)
    example = np.full(len(people), -1)
    for number, key in enumerate(to_hex(people)):
        own = index.find_subject(key)
        own = own[(index.splits[own] == SPLITS.index("train")) & (index.subject_keys[own] == people[number])]
        example[number] = own[0] if len(own) else -1
    known = example >= 0
    if not known.any():
        return None
    learned = np.zeros((len(people), rows.nets), bool)
    keys = torch.from_numpy(key64(index.record_keys[example[known]]))
    learned[known] = rows.aligned(keys).seen.numpy()
    return learned[person]
