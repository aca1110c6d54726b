"""Plan a deletion: resolve what a request names, choose the method, fix the rules. The one way to a `Plan`.

Reads only; nothing is written. What is confirmed or approved is the plan's hash (`tmu/deletion/plan.py`): the command
line, the API, the form and the batch differ only in who asks. The ledger's binding is beside it (`bind_plans.py`).
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from tmu.data.index import Index
from tmu.data.info import RETIRED
from tmu.data.keys import Keys
from tmu.data.records import SPLITS
from tmu.data.store import RecordStore
from tmu.data.what_stays import what_stays
from tmu.deletion.plan import Asked, Plan, Resolved, rules_of
from tmu.errors import RequestError, StorageError
from tmu.files import digest_of
from tmu.refs import DataRef
from tmu.start_file import said_of_start
from tmu.steps.adopted import ELSEWHERE, adoption_in_service, said_of
from tmu.steps.choose_method import Chooser
from tmu.steps.loading import data_folder, data_ref
from tmu.steps.preflight import check_parameters
from tmu.steps.store_keys import digest_of_records, keys_of
from tmu.workspace import Workspace


def plan_deletion(
    workspace: Workspace, asked: Asked, method: str | None = None, *, data: DataRef | None = None
) -> Plan:
    """The plan of one request. Raises as `Planner.plan`, StorageError as `Planner`."""
    return Planner(workspace, data).plan(asked, method)


class Planner:
    """Plans many requests on one data revision: its digest, index, counts and history are looked up once.

    data: another revision than the workspace's own as it is now. What is new of the index stays in memory: kept, it
    would link erased records to people after their erasure. Raises StorageError where the data change meanwhile.
    """

    def __init__(self, workspace: Workspace, data: DataRef | None = None) -> None:
        self._workspace = workspace
        folder = data_folder(workspace, data) if data else workspace.data
        before = _facts(folder)
        self.data = data or data_ref(workspace)
        self.store = RecordStore.open(folder, cache=workspace.index_parts, contents=workspace.contents, keep=False)
        self.index = self.store.index()
        if _facts(folder) != before:
            raise StorageError("The data changed while they were read.", "Plan again when the erasure has ended.")
        self._choosers: dict[str | None, Chooser] = {}

    def plan(self, asked: Asked, method: str | None = None) -> Plan:
        """The plan of a request. method: by name, `auto`, or None for the one in params.yaml.

        Raises RequestError where the request cannot be honoured as it stands: nothing named, something unknown or
        already erased, fewer than two classes left, more than half of the training set. A class that goes as a whole is
        retired, by exact retraining. Raises ConfigError for an unknown
        method, option or feature.
        """
        resolved = self.resolved(asked)
        choice = self._chooser(method).choose(resolved)
        rules = rules_of(self._workspace.params.with_method(choice.method))
        fields = {name: getattr(resolved, name) for name in Resolved.model_fields}
        adopted = adoption_in_service(self._workspace, self.store.info.dataset)
        elsewhere = [said_of_start(self._workspace.params.model), ELSEWHERE if adopted else None]
        fields["stays"] += tuple(filter(None, elsewhere))
        choice = choice.model_copy(update={"notes": (*choice.notes, *said_of(adopted))})
        return Plan(**fields, choice=choice, rules=rules, purge=self._workspace.params.purge)

    def resolved_of_any_size(self, asked: Asked) -> Resolved:
        """What a request touches, without the limits of a deletion: for erasing from the data alone."""
        if not asked:
            raise RequestError("The request names no person and no record.", "Give --subject or --record.")
        index, classes = self.index, self.store.info.classes
        rows = [_rows_of_subject(index, key) for key in dict.fromkeys(asked.subjects)]
        rows += [_rows_of_records(index, asked.records)] if asked.records else []
        chosen = np.unique(np.concatenate(rows))
        keys, splits = index.keys_at(chosen), index.splits[chosen]
        mac = digest_of_records(self._keys, keys)
        train = chosen[splits == SPLITS.index("train")]
        by_class = np.bincount(index.labels[train], minlength=len(classes))
        retires = _retiring(self._train, by_class)
        stays = what_stays(self.store, chosen, asked.subjects)
        return Resolved(
            id=digest_of([self.data.digest, mac])[:16],
            data=self.data,
            subjects=tuple(sorted(set(asked.subjects))),
            records=tuple(keys),
            records_digest=mac,
            n_records=len(keys),
            by_split={name: int((splits == code).sum()) for code, name in enumerate(SPLITS)},
            by_class=_counted(classes, by_class, retires),
            shards=tuple(np.unique(index.buckets[chosen]).tolist()),
            n_train=len(train),
            warnings=(*_said_of(retires, np.count_nonzero(self._train) - len(retires)), *stays.warnings(len(train))),
            stays=stays.sentences,
            retires=retires,
        )

    def left_of(self, asked: Asked) -> Asked:
        """What is named without what was erased at another request; a name that the data never held stays."""
        index = self.index
        people = [key for key in asked.subjects if not index.is_erased_subject(key) or len(index.find_subject(key))]
        single = [key for key in asked.records if not index.is_erased(key)]
        return asked.model_copy(update={"subjects": tuple(people), "records": tuple(single)})

    def people_behind(self, plan: Plan) -> list[str]:
        """The subject keys of all whose records a plan touches, also those behind single records."""
        return self.index.people_behind(plan.records)

    def resolved(self, asked: Asked) -> Resolved:
        """What a request touches. Raises RequestError as `plan` does."""
        resolved = self.resolved_of_any_size(asked)
        names = self.store.info.retiring(resolved.retires).classes
        lost = np.array([resolved.by_class.get(name, 0) for name in names])
        _refuse_too_much(self._train, lost, resolved.retires)
        return resolved

    @cached_property
    def _keys(self) -> Keys:
        """The secret of the data's keys. Raises ConfigError where it is not here."""
        return keys_of(self._workspace, self.store.info)

    @cached_property
    def _train(self) -> np.ndarray:
        """Training records by class (K,)."""
        counts = self.store.counts()["train"]
        return np.array([counts[name] for name in self.store.info.classes])

    def _chooser(self, method: str | None) -> Chooser:
        if method not in self._choosers:
            check_parameters(self.store, self._workspace.params, method)
            self._choosers[method] = Chooser(self._workspace, self.store, self.data, method)
        return self._choosers[method]


def _facts(folder: Path) -> list[tuple[str, int, int, int]]:
    """Names, times, inodes and sizes of a store's files: what changes when one is replaced."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path.name, stat.st_mtime_ns, stat.st_ino, stat.st_size) for path in files for stat in (path.stat(),)]


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


def _refuse_too_much(train: np.ndarray, lost: np.ndarray, retires: Sequence[int]) -> None:
    """train, lost: training records by class (K,), there and to be erased. retires: classes that go as a whole."""
    if retires and np.count_nonzero(train) - len(retires) < 2:
        raise RequestError(
            "The request would leave fewer than two classes with training records.",
            "Erase the data with `tmu data erase`: what is left is nothing to classify.",
        )
    if 2 * lost.sum() > train.sum():
        raise RequestError(
            f"The request takes {lost.sum()} of {train.sum()} training records, more than half.",
            "Erase the data with `tmu data erase` and train again: that is cheaper and exact.",
        )


def _retiring(train: np.ndarray, lost: np.ndarray) -> tuple[int, ...]:
    """The classes of which training records go, and none stays."""
    return tuple(np.flatnonzero((lost > 0) & (lost >= train)).tolist())


def _counted(classes: Sequence[str], lost: np.ndarray, retires: Sequence[int]) -> dict[str, int]:
    """Training records to be erased, by class; a class that goes as a whole is not named: it can be a person."""
    names = [RETIRED.format(label) if label in retires else name for label, name in enumerate(classes)]
    return {name: int(n) for name, n in zip(names, lost, strict=True) if n}


def _said_of(retires: Sequence[int], left: int) -> tuple[str, ...]:
    """A warning. left: how many outputs the model keeps."""
    if not retires:
        return ()
    whole = "One class goes" if len(retires) == 1 else f"{len(retires)} classes go"
    outputs = "its output is" if len(retires) == 1 else "their outputs are"
    return (
        f"{whole} as a whole: {outputs} retired, the other {left} are numbered anew, and the model is trained again "
        "without the records. Whoever calls the model must read its classes again.",
    )
