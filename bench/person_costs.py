"""What one person's deletion costs, from stored rows alone: a table for the README, each line of one run.

Shares are of a retraining of the same run. References and twin problems are made once for a model and serve many
deletions; step and audit are paid by each.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from bench import results
from bench.statistics import over_seeds
from bench.tables.cells import DEFAULT, EXACT, VERDICT
from tmu.audit.render import NONE
from tmu.words import counted

_PAID = ("the step", "its audit", "references, once", "twin problems, once")
_HEADS = ("one person deleted", "records", "one retraining", *_PAID, "run")


@dataclass(frozen=True)
class Case:
    """A line: what is said of it, and where its numbers are stored."""

    words: str
    suite: str
    forget: str
    row: str = DEFAULT


CASES = (
    Case("digits, small ResNet", "people-digits", "person"),
    Case("CIFAR-10, ResNet-9, people simulated", "people-cifar", "person"),
    Case("faces at 96 pixels, EfficientNet-Lite0, fine-tuned", "people-pretrained", "person-0"),
    Case("faces at 96 pixels, EfficientNet-Lite0, `exact-head`", "people-pretrained", "person-0", EXACT),
    Case("faces at 224 pixels, EfficientNet-Lite0, frozen below its head", "people-pretrained-224", "person-0"),
    Case("faces at 224 pixels, EfficientNet-Lite0, `exact-head`", "people-pretrained-224", "person-0", EXACT),
    Case("CIFAR-10 at 96 pixels, EfficientNet-Lite0, fine-tuned", "people-cifar-pretrained", "person"),
)


def person_costs(read: Callable[[str], pa.Table] = results.read, cases: tuple[Case, ...] = CASES) -> str:
    """The table and what it rests on; a line of which nothing is stored is left out. `read`: stored rows by suite."""
    lines, runs = [], {}
    for case in cases:
        numbers = _Numbers(read(case.suite), case)
        if numbers.of("seconds_alone") is not None:
            lines.append(_line(case, numbers))
            runs[case.suite] = numbers.origin
    if not lines:
        return ""
    said = ["| " + " | ".join(_HEADS) + " |", "|---" * len(_HEADS) + "|", *lines]
    hardware = "; ".join(dict.fromkeys(where for _, where in runs.values()))
    return "\n".join(said) + f"\n\n{_READ} On: {hardware}."


_READ = (
    "Processor seconds of one thread, and the share of a retraining of the same run; means over its seeds. Records: of "
    "the person, of all in the training set. Each deletion pays step and audit. References and twin problems are made "
    "once for a model. A step's length hardly depends on the training set, so that its share is the smaller the more "
    "records there are. `exact-head` is set against a retraining of its kind: one pass through the frozen network and "
    "a solved head. A retraining by SGD takes longer; the run's page has both. The audit of `exact-head` is a "
    "recomputation; it needs neither references nor twin problems. A dash elsewhere: not measured."
)


@dataclass(frozen=True)
class _Numbers:
    """The stored numbers of a line."""

    table: pa.Table
    case: Case

    def of(self, metric: str, forget: str = "") -> float | None:
        """Mean over seeds; None where it is not stored."""
        where = {"forget_set": forget or self.case.forget, "method": self.case.row, "metric": metric}
        found = results.values(self.table, **where)
        return over_seeds(found).mean if found else None

    def pair(self, name: str) -> str:
        """Seconds and share of a retraining; the audit's stand with the verdicts, where there are some."""
        for forget in (self.case.forget, f"{VERDICT}{self.case.forget}"):
            seconds, share = (self.of(f"{kind}_{name}", forget) for kind in ("seconds", "seconds_ratio"))
            if seconds is not None and share is not None:
                return f"{_seconds(seconds)} ({_share(share)})"
        return NONE

    @property
    def seeds(self) -> int:
        """How many seeds the step was measured with."""
        where = {"forget_set": self.case.forget, "method": self.case.row, "metric": "seconds_alone"}
        return len(results.values(self.table, **where))

    @property
    def origin(self) -> tuple[str, str]:
        """Command and hardware."""
        row = next(row for row in self.table.to_pylist() if row["method"] == self.case.row)
        return row["command"], row["hardware"]


def _line(case: Case, numbers: _Numbers) -> str:
    gone, stay = (round(numbers.of(name) or 0) for name in ("records_gone", "records_stay"))
    retraining = (numbers.of("seconds_alone") or 0.0) / (numbers.of("seconds_ratio_alone") or 1.0)
    parts = [numbers.pair(name) for name in ("alone", "audit", "references", "lessons")]
    run = f"[`{numbers.origin[0]}`](bench/results/{case.suite}.md), {counted(numbers.seeds, 'seed')}"
    cells = [case.words, f"{gone} of {gone + stay:,}", _seconds(retraining), *parts, run]
    return "| " + " | ".join(cells) + " |"


def _seconds(value: float) -> str:
    return f"{value:,.0f} s" if value >= 10 else f"{value:.2g} s"


def _share(value: float) -> str:
    """Per cent with two digits, from ten on whole."""
    return f"{100 * value:,.0f} %" if value >= 0.0995 else f"{100 * value:.2g} %"
