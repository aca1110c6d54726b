"""The verbs that are measured, each in a process of its own: `python -m bench.larger_than_memory.verbs VERB ROOT …`."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench.larger_than_memory.peak import watched
from tmu.config import Config
from tmu.data.importer import import_records
from tmu.data.info import SplitRule
from tmu.data.readers import Reader
from tmu.data.records import Record
from tmu.workspace import Workspace

PERSON, CLASSES = 30, 10
PARAMS = {
    "model": {"name": "small_resnet", "options": {"width": 4}},
    "train": {"epochs": 1, "batch_size": 256, "lr": 0.05},
    "references": {"pairs": 2, "inner": False},
    "unlearn": {"method": "tmu-soft"},
    "audit": {"bootstrap": 100, "probes": False, "inconclusive": "serve"},
}


class Coarse(Reader):
    """`n` pictures (3, side, side) of 8x8 coloured squares, so that they take little disk; 30 a person."""

    name, simulated, Options = "coarse", True, Config
    split_rule = SplitRule(holdout=0.25, test=0.25)

    def __init__(self, n: int, side: int) -> None:
        super().__init__(Config())
        self._n, self._side = n, side

    def classes(self) -> list[str]:
        """Ten."""
        return [f"class-{number}" for number in range(CLASSES)]

    def shape(self) -> tuple[int, int, int]:
        """Three channels."""
        return 3, self._side, self._side

    def count(self) -> int:
        """As told."""
        return self._n

    def records(self) -> Iterator[Record]:
        """In order of people."""
        stream, times = np.random.default_rng(0), self._side // 8
        for number in range(self._n):
            label = int(stream.integers(CLASSES))
            squares = np.clip(stream.normal(20 + 20 * label, 40, (3, 8, 8)), 0, 255).astype(np.uint8)
            image = squares.repeat(times, 1).repeat(times, 2)
            yield Record(f"r{number}", f"person-{number // PERSON}", label, image)


def import_(root: Path, n: int, side: int) -> Callable[[], Any]:
    """Records to shards, DVC's revision, digests of the pictures."""
    from tmu.steps.note_contents import note_contents

    Workspace.create(root)
    (root / "params.yaml").write_text(json.dumps(PARAMS))
    workspace = Workspace.open(root)

    def work() -> None:
        import_records(Coarse(n, side), workspace.data, workspace.keys(simulated=True))
        workspace.versions.commit(workspace.data)
        note_contents(workspace)

    return work


def verify(root: Path) -> Callable[[], Any]:
    """Every byte of the store read and checked."""
    from tmu.data.store import RecordStore

    return RecordStore.open(Workspace.open(root).data).verify


def train(root: Path) -> Callable[[], Any]:
    """An original, one epoch."""
    from flows.train_original import original_of
    from tmu.steps.loading import data_ref

    workspace = Workspace.open(root)
    return lambda: original_of(workspace, data_ref(workspace), workspace.params)


def references(root: Path) -> Callable[[], Any]:
    """Four networks on halves, one after the other in this process, and their answers on all records."""
    from tasks.models import fit_references
    from tmu.steps.loading import data_ref

    workspace = Workspace.open(root)
    return lambda: fit_references(workspace, data_ref(workspace), workspace.params)


def predict(root: Path) -> Callable[[], Any]:
    """Answers on all training records."""
    from tmu.steps.loading import data_ref
    from tmu.steps.measure_accuracy import measure_accuracy
    from tmu.steps.register_model import model_of

    workspace = Workspace.open(root)
    (version,) = workspace.registry.versions("coarse")
    return lambda: measure_accuracy(workspace, data_ref(workspace), model_of(version), split="train")


def plan(root: Path) -> Callable[[], Any]:
    """What the deletion of one person would do."""
    from tmu.steps.plan import Planner

    workspace = Workspace.open(root)
    return lambda: Planner(workspace).plan(_asked(workspace, 2))


def delete(root: Path) -> Callable[[], Any]:
    """The whole deletion of one person: twin, erasure, unlearning, audit, into service, purge."""
    from flows.carry_out import carry_out
    from flows.observer import Observer
    from tmu.steps.acknowledge import acknowledge
    from tmu.steps.plan import Planner

    workspace = Workspace.open(root)
    asked = _asked(workspace, 2)

    def work() -> None:
        deletion = acknowledge(workspace, Planner(workspace).plan(asked), asked)
        carry_out(workspace, deletion, Observer(workspace))

    return work


def erase(root: Path) -> Callable[[], Any]:
    """The data without one person, and DVC's revision of them: the erasure alone."""
    from tmu.files import write_json
    from tmu.manifest import digest
    from tmu.refs import ForgetRef
    from tmu.steps.erase_data import erase_data
    from tmu.steps.loading import data_ref, open_store
    from tmu.steps.making import make

    workspace = Workspace.open(root)
    data = data_ref(workspace)
    index = open_store(workspace, data).index()
    keys = index.keys_at(index.find_subject(workspace.keys(simulated=True).subject("person-4")))

    def build(folder: Path, run: dict[str, Any]) -> None:
        write_json(folder / "forget.json", {"data": data.digest, "records": keys})

    uri, folder = make(workspace, "forget", {"stage": "forget", "records": keys}, build)
    return lambda: erase_data(workspace, data, ForgetRef(uri=uri, digest=digest(folder), data_digest=data.digest))


def _asked(workspace: Workspace, number: int) -> Any:
    from tmu.deletion.plan import Asked

    return Asked.of([workspace.keys(simulated=True).subject(f"person-{number}")], [])


VERBS: dict[str, Callable[..., Callable[[], Any]]] = {
    "import": import_, "verify": verify, "train": train, "references": references, "predict": predict, "plan": plan,
    "delete": delete, "erase": erase,
}  # fmt: skip

if __name__ == "__main__":
    work = VERBS[sys.argv[1]](Path(sys.argv[2]), *map(int, sys.argv[3:]))
    with watched() as taken:
        work()
    print(json.dumps(asdict(taken)))
