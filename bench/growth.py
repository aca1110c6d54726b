"""What one person's deletion costs as the data grow: `python -m bench.growth`.

Synthetic records (14x14 noise, 30 a person), a small network, one epoch: what is measured is the way, not the model.
The references are fitted and their twin problems posed before; the first deletion of each size is not counted.
"""

import contextlib
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer

from bench import results
from bench.stamp import stamp
from bench.tables.markdown import grid
from tmu.config import Config
from tmu.data.importer import import_records
from tmu.data.info import SplitRule
from tmu.data.readers import Reader
from tmu.data.records import Record
from tmu.deletion.plan import Asked
from tmu.files import write_atomic, write_json
from tmu.steps.note_contents import note_contents
from tmu.workspace import Workspace

PERSON, CLASSES, SHAPE = 30, 10, (1, 14, 14)
COMMAND = "python -m bench.growth"
RETRAINED = "retraining after a refusal"
_OWN = "all but audit and retraining"
_WHOLE = ("all of it", _OWN)
PARAMS = {
    "model": {"options": {"width": 4}},
    "train": {"epochs": 1, "batch_size": 256},
    "references": {"pairs": 2, "inner": False},
    "unlearn": {"method": "tmu-soft"},
    "audit": {"bootstrap": 100, "probes": False, "inconclusive": "serve"},
}
STAGES = {
    "flows.carry_out": ("look_at_data", "check_stores", "erase", "fit_twin", "unlearn", "tidy", "verify_deletion"),
    "flows.prove": ("champion_of", "audited", "erase_references", "drop_references", "unlearn"),
    "flows.observer": ("promote",),
}
NAMED = {("flows.prove", "unlearn"): RETRAINED}
"""Stages with a name of their own: what an audit refuses is retrained, on all of the data."""


class Synthetic(Reader):
    """`n` records of noise with a class's grey level."""

    name, simulated, Options = "synthetic", True, Config
    split_rule = SplitRule(holdout=0.25, test=0.25)

    def __init__(self, n: int) -> None:
        super().__init__(Config())
        self._n = n

    def classes(self) -> list[str]:
        """Ten."""
        return [f"class-{number}" for number in range(CLASSES)]

    def shape(self) -> tuple[int, int, int]:
        """14x14, grey."""
        return SHAPE

    def records(self) -> Iterator[Record]:
        """In order of people."""
        stream = np.random.default_rng(0)
        for number in range(self._n):
            label = int(stream.integers(CLASSES))
            image = np.clip(stream.normal(20 + 20 * label, 40, SHAPE), 0, 255).astype(np.uint8)
            yield Record(f"r{number}", f"person-{number // PERSON}", label, image)


def main(
    sizes: Annotated[str, typer.Option(help="Numbers of records.")] = "1000,10000,100000",
    repeats: Annotated[int, typer.Option(min=1, help="Deletions of one person that are measured.")] = 5,
) -> None:
    """Measure and store `results/growth.json` and `growth.md`."""
    rows = []
    for size in sizes.split(","):
        with tempfile.TemporaryDirectory() as folder:
            rows.append({"records": int(float(size)), **_measured(Path(folder) / "w", int(float(size)), repeats)})
        typer.echo(json.dumps(rows[-1]))
    found = {"rows": rows, "repeats": repeats, **stamp(threads=1)}
    write_json(results.FOLDER / "growth.json", found)
    write_atomic(results.FOLDER / "growth.md", _page(found).encode())


def _measured(root: Path, size: int, repeats: int) -> dict[str, float]:
    """Median processor seconds by stage of one person's deletion."""
    workspace = _prepared(root, size)
    seconds: list[dict[str, float]] = []
    for person in range(1, repeats + 2):
        seconds.append(_deleted(Workspace.open(root), 2 * person))
    names = sorted({name for each in seconds[1:] for name in each})
    typer.echo(
        f"{workspace.registry.ui_command() and size} records: {[round(each['all of it'], 2) for each in seconds]}"
    )
    found = {name: round(median(each.get(name, 0.0) for each in seconds[1:]), 4) for name in names}
    return found | {"retrained": sum(RETRAINED in each for each in seconds[1:])}


def _prepared(root: Path, size: int) -> Workspace:
    """A workspace with data, a model in service and references."""
    from flows.train_original import original_of
    from tasks.models import fit_references
    from tmu.steps.loading import data_ref

    Workspace.create(root)
    (root / "params.yaml").write_text(json.dumps(PARAMS))
    (root / "tmu.toml").write_text("threads = 1\n")
    workspace = Workspace.open(root)
    import_records(Synthetic(size), workspace.data, workspace.keys(simulated=True))
    workspace.versions.commit(workspace.data)
    note_contents(workspace)
    data = data_ref(workspace)
    original_of(workspace, data, workspace.params)
    fit_references(workspace, data, workspace.params)
    return workspace


def _deleted(workspace: Workspace, person: int) -> dict[str, float]:
    """Processor seconds by stage of a deletion, in this process."""
    from flows.carry_out import carry_out
    from flows.observer import Observer
    from tmu.steps.acknowledge import acknowledge
    from tmu.steps.plan import Planner

    asked = Asked.of([workspace.keys(simulated=True).subject(f"person-{person}")], [])
    seconds: dict[str, float] = {}
    with _timed(seconds):
        started, before = time.perf_counter(), busy()
        plan = Planner(workspace).plan(asked)
        seconds["plan"] = busy() - before
        deletion = acknowledge(workspace, plan, asked)
        seconds["acknowledge"] = busy() - before - seconds["plan"]
        carry_out(workspace, deletion, Observer(workspace))
        seconds |= {"wall time": time.perf_counter() - started, "all of it": busy() - before}
        seconds[_OWN] = seconds["all of it"] - seconds["audited"] - seconds.get(RETRAINED, 0.0)
    return seconds


def busy() -> float:
    """Seconds that this process and its children (DVC's) kept a processor busy: they tell more on a shared machine."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


@contextlib.contextmanager
def _timed(seconds: dict[str, float]) -> Iterator[None]:
    """Note what each stage takes that the flow calls."""
    with contextlib.ExitStack() as back:
        for module, names in STAGES.items():
            room = __import__(module, fromlist=["*"])
            for name in names:
                real = getattr(room, name)
                back.callback(setattr, room, name, real)
                setattr(room, name, _noted(real, NAMED.get((module, name), name), seconds))
        yield


def _noted(real: Any, name: str, seconds: dict[str, float]) -> Any:
    def call(*given: Any, **named: Any) -> Any:
        before = busy()
        try:
            return real(*given, **named)
        finally:
            seconds[name] = seconds.get(name, 0.0) + busy() - before

    return call


def _page(found: dict[str, Any]) -> str:
    rows = found["rows"]
    ratio = {name: max(row[name] for row in rows) / min(row[name] for row in rows) for name in _WHOLE}
    stages = {name for row in rows for name in row if name not in ("records", "retrained", *ratio)}
    names = sorted(stages)
    cells = [(name, *(f"{row.get(name, 0):.2f}" for row in rows)) for name in (*ratio, *names)]
    head = ("processor seconds", *(f"{row['records']:,} records" for row in rows))
    return "\n".join(
        [
            "# growth: measured results",
            "",
            f"Made by `{COMMAND}`; do not edit. One person's deletion ({PERSON} records), the median of",
            f"{found['repeats']}, in processor seconds of this process and DVC's (the machine is shared). Largest over",
            f"smallest: {ratio[_OWN]:.2f} without the audit and what it orders, {ratio['all of it']:.2f} with it. The",
            "audit looks at `audit.sample` staying and never-seen records, and at all of them where there are fewer.",
            "What it refuses is retrained, on all of the data, and audited again:",
            "; ".join(f"{row['retrained']} of {found['repeats']} at {row['records']:,} records" for row in rows) + ".",
            "",
            f"Commit {found['commit'][:12]}, {found['at']}, on: {found['hardware']}.",
            "",
            *grid(head, cells),
            "",
        ]
    )


if __name__ == "__main__":
    typer.run(main)
