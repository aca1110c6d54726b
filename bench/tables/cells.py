"""A suite's stored results by forget set, row, metric and seed: what tables and figures read.

A *row* is a method, a control or an ablation ("tmu-soft/no-neighbours"). Forget sets named "stream/07" are the state
after the seventh of many successive deletions, "fleet/random-10" holds the numbers of whole fleets, "verdict/random-10"
what the audit without golds says. What was not measured is an empty dict or None, never an error.
"""

import math
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa

from bench.statistics import Estimate, over_seeds

GOLD, FLOOR, ORIGINAL, RANDOM_CHOICE, TWIN = "gold", "second gold", "original", "random choice", "twin"
DEFAULT = "tmu-soft"
EXACT = "exact-head"  # of models with a ridge head: it faces golds of its own recipe, and does not compete
EARLIER = "tmu-soft by epochs"  # stored rows of the way before references: what the default must not fall behind
EARLY = "early-retrain "  # a retraining stopped after a share of its epochs, by share
CONTROLS = (ORIGINAL, FLOOR, RANDOM_CHOICE)
REFUSED = "refused"
STREAM = "stream/"
FLEET = "fleet/"
VERDICT = "verdict/"
_FORGET_SETS = (
    *("random-10", "worst-case-10", "class-part", "high-memorisation-10", "cluster", "person", "whole-class"),
    *("random-1", "random-50"),
)
_ROWS = (
    *(GOLD, FLOOR, ORIGINAL, RANDOM_CHOICE, "retrain", EXACT, "finetune", "l1-sparse", "neggrad-plus", "random-label"),
    *("salun", "scrub", "ssd", "sfr-on", "amun", "regun", "bad-teacher", "early-retrain at our cost"),
    *("early-retrain .05", "early-retrain .1", "early-retrain .2", "early-retrain .5", "finetune at our cost"),
    *("l1-sparse at our cost", "oracle-matching"),
)
_LAST = ("tmu", EARLIER, DEFAULT)  # ours stand at the end; methods that are not named here come before them
Values = dict[int, float]  # by seed


@dataclass(frozen=True)
class Cells:
    """One dataset's results. `numbers`: (forget set, row, metric) -> value by seed; `units`: by metric.

    `intervals`: of a fleet's numbers, stored with them as `METRIC_low` and `METRIC_high`.
    """

    dataset: str
    numbers: dict[tuple[str, str, str], Values]
    units: dict[str, str]
    hardware: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    intervals: dict[tuple[str, str, str], tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, table: pa.Table, dataset: str) -> "Cells":
        """The rows of `dataset`; a value that is not a number counts as not measured."""
        numbers: dict[tuple[str, str, str], Values] = defaultdict(dict)
        rows = [row for row in table.to_pylist() if row["dataset"] == dataset]
        for row in rows:
            if row["value"] is not None and not math.isnan(row["value"]):
                numbers[row["forget_set"], row["method"], row["metric"]][row["seed"]] = row["value"]
        marks = (tuple(sorted({row[name] for row in rows if row[name]})) for name in ("hardware", "command"))
        intervals = _take_intervals(numbers)
        return cls(dataset, dict(numbers), {row["metric"]: row["unit"] for row in rows}, *marks, intervals)

    @cached_property
    def measured(self) -> dict[str, dict[str, set[int]]]:
        """Forget set -> row -> the seeds that have any number."""
        found: dict[str, dict[str, set[int]]] = defaultdict(dict)
        for (forget_set, row, _), by_seed in self.numbers.items():
            found[forget_set].setdefault(row, set()).update(by_seed)
        return dict(found)

    def values(self, forget_set: str, row: str, metric: str) -> Values:
        """Value by seed; empty where nothing was measured."""
        return self.numbers.get((forget_set, row, metric), {})

    def estimate(self, forget_set: str, row: str, metric: str) -> Estimate | None:
        """Mean and interval over seeds, of a fleet the stored interval; None where nothing was measured."""
        found = self.values(forget_set, row, metric)
        if (forget_set, row, metric) in self.intervals:
            models = int(sum(self.values(forget_set, row, "fleet_models").values()))
            return Estimate(*found.values(), *self.intervals[forget_set, row, metric], models)
        return over_seeds(found) if found else None

    def forget_sets(self) -> list[str]:
        """Forget sets in the order of the protocol, others by name after them; no stream, no fleet, no verdicts."""
        names = (name for name in self.measured if not name.startswith((STREAM, FLEET, VERDICT)))
        return sorted(names, key=lambda name: (_place(_FORGET_SETS, name), name))

    def fleets(self) -> list[str]:
        """The forget sets of fleets, by name."""
        return sorted(name for name in self.measured if name.startswith(FLEET))

    def verdicts(self) -> list[str]:
        """The forget sets of verdicts without golds, in the order of the protocol."""
        names = (name for name in self.measured if name.startswith(VERDICT))
        return sorted(names, key=lambda name: (_place(_FORGET_SETS, name.removeprefix(VERDICT)), name))

    def stream(self) -> dict[int, str]:
        """Forget set by number of deletions so far, in order; empty without a stream."""
        numbers = {name.removeprefix(STREAM): name for name in self.measured if name.startswith(STREAM)}
        return dict(sorted((int(number), name) for number, name in numbers.items() if number.isdecimal()))

    def rows(self, forget_set: str) -> list[str]:
        """Golds, controls, methods, ours last; neither the twin's numbers nor ablations."""
        names = (row for row in self.measured.get(forget_set, ()) if "/" not in row and row != TWIN)
        return sorted(names, key=row_order)

    def methods(self, forget_set: str) -> list[str]:
        """The rows that compete: all but the golds, retraining itself, what equals it, and the controls."""
        beside = (GOLD, "retrain", EXACT, *CONTROLS)
        return [row for row in self.rows(forget_set) if row not in beside and not further_gold(row)]

    def ablations(self, forget_set: str) -> list[str]:
        """Rows such as "tmu-soft/no-neighbours", by name."""
        return sorted(row for row in self.measured.get(forget_set, ()) if "/" in row)

    def seeds(self, forget_set: str) -> list[int]:
        """The seeds of which any competing method has any number."""
        return sorted(set().union(*(self.measured[forget_set][row] for row in self.methods(forget_set))))

    def refused(self, forget_set: str, row: str) -> list[int]:
        """The seeds on which the row's method refused to run."""
        return sorted(seed for seed, value in self.values(forget_set, row, REFUSED).items() if value)


def further_gold(row: str) -> bool:
    """Whether the row is one of more golds than two, such as "gold 3"."""
    return row.startswith("gold ")


def row_order(row: str) -> tuple[int, str]:
    """Sort key of rows: golds and controls, known methods, others by name, ours."""
    return (100 + _LAST.index(row) if row in _LAST else _place(_ROWS, row)), row


def _take_intervals(numbers: dict[tuple[str, str, str], Values]) -> dict[tuple[str, str, str], tuple[float, float]]:
    """The stored intervals of fleets' numbers, taken out of the numbers."""
    found = {}
    for name, row, metric in list(numbers):
        if name.startswith(FLEET) and {(name, row, f"{metric}_{end}") for end in ("low", "high")} <= numbers.keys():
            ends = (numbers.pop((name, row, f"{metric}_{end}")) for end in ("low", "high"))
            found[name, row, metric] = tuple(next(iter(by_seed.values())) for by_seed in ends)
    return found


def _place(known: tuple[str, ...], name: str) -> int:
    return known.index(name) if name in known else len(known)
