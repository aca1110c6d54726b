"""The audit table: every model of an audit by every metric, as one JSON-ready value.

Rows carry their role as name: `original` (do nothing), the golds (the first is paired with the original by its seeds,
every further one is an independent retrain), `random choice`, and the methods. A gold is measured against the others;
what they score is the noise floor (`floor.py`). Every other row faces as many golds (`Case.faced`), or the only one.
"""

from dataclasses import asdict, dataclass
from typing import Any

from tmu.audit.bootstrap import Value
from tmu.audit.floor import floor_of
from tmu.audit.metrics import Metric, all_metrics
from tmu.audit.outputs import Outputs, Sets, check_fit
from tmu.audit.probes.probed import Probed, check_probed
from tmu.audit.view import Case, View
from tmu.errors import DataError, RequestError

ORIGINAL = "original"
RANDOM_CHOICE = "random choice"


@dataclass(frozen=True)
class AuditResult:
    """An audit's numbers. `data` is JSON-ready: what `audit.json` holds, and all that is needed to show them again."""

    data: dict[str, Any]

    @property
    def rows(self) -> list[str]:
        """Names of the rows, in order."""
        return [row["name"] for row in self.data["rows"]]

    @property
    def golds(self) -> list[str]:
        """Names of the rows that are golds, the reference first."""
        return self.data["golds"]

    def value(self, row: str, metric: str) -> Value | None:
        """One number with its interval; None where the row has nothing to be compared with."""
        cell = self._row(row)["metrics"][metric]
        return None if cell is None else Value(cell["value"], cell["low"], cell["high"])

    def number(self, row: str, metric: str) -> Value:
        """`value` where a rule or figure cannot do without it. Raises DataError where there is none."""
        return _there(self.value(row, metric), f"`{row}` has no `{metric}`")

    def noise(self, metric: str) -> Value:
        """`floor` where a rule cannot do without it. Raises DataError where there is none."""
        return _there(self.floor(metric), f"there is no noise floor of `{metric}`")

    def floor(self, metric: str) -> Value | None:
        """What the golds score among themselves: mean, and the farthest ends of their intervals."""
        cell = floor_of(self.data["rows"], self.golds, metric)
        return None if cell is None else Value(**cell)

    def seconds(self, row: str) -> float | None:
        """Whole cost of the row's model in seconds, where the caller gave it."""
        return self._row(row)["seconds"]

    def _row(self, name: str) -> dict[str, Any]:
        for row in self.data["rows"]:
            if row["name"] == name:
                return row
        raise RequestError(f"The audit has no row `{name}`.", f"Its rows are: {', '.join(self.rows)}.")


def _there(value: Value | None, without: str) -> Value:
    if value is None:
        raise DataError(f"The audit is not complete: {without}.", "Run it again; with two golds every floor is there.")
    return value


def audit_table(
    sets: Sets,
    models: dict[str, Outputs],
    golds: list[str],
    seconds: dict[str, float],
    seed: int,
    *,
    resamples: int = 1000,
    probes: dict[str, Probed] | None = None,
) -> AuditResult:
    """Every metric of every row, with 95 % intervals.

    `models`: outputs by row name, in the order to be shown. `golds`: the rows that are retrained models, at least one.
    `seconds`: whole cost by row name; rows may be missing. `seed` draws resamples and the attack's training records.
    `probes`: what was found inside the models, by row name; the numbers that need it are left out where it is missing.
    Raises RequestError for an empty forget set or missing gold, DataError for outputs that do not fit the sets.
    """
    probes = probes or {}
    _check(sets, models, golds, probes)
    metrics = all_metrics()
    views = {name: View(sets, outputs, seed, probes.get(name)) for name, outputs in models.items()}
    rows = []
    for name, view in views.items():
        others = tuple(views[gold] for gold in golds if gold != name)
        case = Case(view, others, views.get(ORIGINAL), seed, resamples, leave_one_out=name not in golds)
        cells = {key: asdict(each.compute(case)) if each.possible(case) else None for key, each in metrics.items()}
        rows.append({"name": name, "seconds": seconds.get(name), "metrics": cells})
    return AuditResult(
        {
            "records": sets.sizes(),
            "golds": list(golds),
            "seed": seed,
            "resamples": resamples,
            "metrics": [_describe(each) for each in metrics.values()],
            "rows": rows,
            "floor": {name: floor_of(rows, golds, name) for name in metrics},
        }
    )


def _check(sets: Sets, models: dict[str, Outputs], golds: list[str], probes: dict[str, Probed]) -> None:
    sizes = sets.sizes()
    if sizes["forget"] == 0:
        raise RequestError("The forget set is empty.", "Name at least one record or subject to delete.")
    for name in ("retain", "test"):
        if sizes[name] == 0:
            raise DataError(f"The {name} set is empty.", "The audit needs kept and never-seen records to compare with.")
    missing = [gold for gold in golds if gold not in models]
    if not golds or missing:
        what = f"The audit has no outputs of the gold `{missing[0]}`." if missing else "The audit has no gold."
        raise RequestError(what, "Train a gold (a retrain without the forget set) and audit again.")
    for name, outputs in models.items():
        check_fit(sets, outputs, name)
    for name, probed in probes.items():
        check_probed(probed, sizes["forget"], name)


def _describe(metric: Metric) -> dict[str, Any]:
    return {key: getattr(metric, key) for key in ("name", "title", "unit", "better", "headline", "meaning")}
