"""Plan a deletion: what a request touches, and whether it can be honoured. Reads only; nothing is written.

`acknowledge` turns a plan into a forget set and a journal entry; from then on the request survives a crash.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tmu.data.index import Index
from tmu.data.records import SPLITS
from tmu.data.store import RecordStore
from tmu.errors import RequestError
from tmu.files import digest_of, write_json
from tmu.manifest import digest
from tmu.refs import DataRef, ForgetRef
from tmu.steps.loading import open_store
from tmu.steps.making import identity_of, make
from tmu.workspace import Workspace


@dataclass(frozen=True)
class Plan:
    """A request resolved against one data revision. All keys are HMACs.

    records: all record keys to erase, sorted. by_split, by_class (training records): counts. shards: buckets touched.
    """

    id: str
    data: DataRef
    subjects: list[str]
    records: list[str]
    by_split: dict[str, int]
    by_class: dict[str, int]
    shards: list[int]
    n_train: int
    warnings: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready, without the keys of single records."""
        raw = vars(self) | {"data": self.data.model_dump(), "n_records": len(self.records)}
        del raw["records"]
        return raw


def plan_deletion(workspace: Workspace, data: DataRef, subjects: Sequence[str], records: Sequence[str]) -> Plan:
    """Resolve subject and record keys (HMAC). Raises RequestError where the request cannot be honoured as it stands:

    nothing named, unknown or already erased, a class left empty, more than half of the training set.
    """
    return Resolver(open_store(workspace, data), data).plan(subjects, records)


class Resolver:
    """Resolves many requests against one data revision: its index and its counts are looked up once."""

    def __init__(self, store: RecordStore, data: DataRef):
        self.store, self.data = store, data

    @cached_property
    def _train(self) -> np.ndarray:
        """Training records by class (K,)."""
        counts = self.store.counts()["train"]
        return np.array([counts[name] for name in self.store.info.classes])

    def plan(self, subjects: Sequence[str], records: Sequence[str]) -> Plan:
        """One request; errors as `plan_deletion`."""
        if not subjects and not records:
            raise RequestError("The request names nobody and nothing.", "Give --subject or --record.")
        index, classes = self.store.index(), self.store.info.classes
        rows = [_rows_of_subject(index, key) for key in dict.fromkeys(subjects)]
        rows += [_rows_of_records(index, records)] if records else []
        chosen = np.unique(np.concatenate(rows))
        keys, splits = index.keys_at(chosen), index.splits[chosen]
        train = chosen[splits == SPLITS.index("train")]
        by_class = np.bincount(index.labels[train], minlength=len(classes))
        _refuse_too_much(classes, self._train, by_class)
        return Plan(
            id=digest_of([self.data.digest, keys])[:16],
            data=self.data,
            subjects=sorted(set(subjects)),
            records=keys,
            by_split={name: int((splits == code).sum()) for code, name in enumerate(SPLITS)},
            by_class={name: int(n) for name, n in zip(classes, by_class, strict=True) if n},
            shards=np.unique(index.buckets[chosen]).tolist(),
            n_train=len(train),
            warnings=[] if len(train) else ["No model has learned these records: only the data change."],
        )


def acknowledge(workspace: Workspace, plan: Plan, out: str | None = None) -> ForgetRef:
    """Store the forget set; after this returns the request survives kill -9 (see `journal.py`)."""
    identity = identity_of("forget", ("tmu.refs",), data=plan.data.digest, records=digest_of(plan.records))

    def build(folder: Path, run: dict[str, Any]) -> None:
        write_json(folder / "forget.json", {"data": plan.data.digest, "records": plan.records})

    uri, folder = make(workspace, "forget", identity, build, out)
    return ForgetRef(uri=uri, digest=digest(folder), data_digest=plan.data.digest)


def read_request(text: str) -> tuple[list[str], list[str]]:
    """Subjects and records from a request file: JSON `{"subjects": [...], "records": [...]}`, or one subject a line.

    Empty lines and lines that begin with `#` are skipped. Raises RequestError for JSON of another form.
    """
    if not text.lstrip().startswith("{"):
        lines = [line.strip() for line in text.splitlines()]
        return [line for line in lines if line and not line.startswith("#")], []
    try:
        raw = json.loads(text)
        subjects, records = raw.pop("subjects", []), raw.pop("records", [])
        if not (isinstance(subjects, list) and isinstance(records, list)):
            raise ValueError  # a string would fall apart into one-letter ids
        if raw or not all(isinstance(item, str) for item in [*subjects, *records]):
            raise ValueError
        return list(subjects), list(records)
    except (ValueError, TypeError) as error:
        raise RequestError(
            "The request file is neither lines of subjects nor the expected JSON.",
            'Write {"subjects": ["..."], "records": ["..."]}.',
        ) from error


def _rows_of_subject(index: Index, key: str) -> np.ndarray:
    rows = index.find_subject(key)
    if not len(rows):
        _refuse_missing("subject", key, index.is_erased_subject(key))
    return rows


def _rows_of_records(index: Index, keys: Sequence[str]) -> np.ndarray:
    rows, missing = index.find_records(list(keys))
    for key in missing:
        _refuse_missing("record", key, index.is_erased(key))
    return rows


def _refuse_missing(what: str, key: str, erased: bool) -> None:
    if erased:
        raise RequestError(f"The {what} with the key {key} was erased before.", "Leave it out of the request.")
    raise RequestError(
        f"There is no {what} with the key {key}.",
        f"Check the spelling of the id; `tmu data show --{what} ID` tells whether it is known.",
    )


def _refuse_too_much(classes: Sequence[str], train: np.ndarray, lost: np.ndarray) -> None:
    """train, lost: training records by class (K,), there and to be erased."""
    for name, there, gone in zip(classes, train, lost, strict=True):
        if gone and gone >= there:
            raise RequestError(
                f"The request would leave class `{name}` without training records.",
                "Retire the class with a new dataset and train anew; unlearning cannot remove an output.",
            )
    if 2 * lost.sum() > train.sum():
        raise RequestError(
            f"The request takes {lost.sum()} of {train.sum()} training records, more than half.",
            "Erase the data with `tmu data erase` and train anew: that is cheaper and exact.",
        )
