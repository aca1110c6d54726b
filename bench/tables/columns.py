"""What a table's column says of itself: title, unit, direction; and numbers as text with the digits they deserve."""

import math
from dataclasses import dataclass, replace
from functools import cache

from bench.statistics import Estimate
from bench.tables.cells import Cells
from tmu.audit.metrics import all_metrics
from tmu.audit.metrics.registry import Better
from tmu.audit.render import ARROWS, NONE

QUALITY = (
    *("ua", "accuracy_retain", "accuracy_test", "mia_efficacy", "average_gap", "activation_distance"),
    "label_agreement",
)
LATEST = "latest/"  # in a stream: of the latest deletion alone
FIRST = "first/"  # of the first deletions, once more have followed
SHADOW = ("rmia_", "lira_")
COST = ("seconds_ratio_alone", "seconds_ratio_whole", "seconds_ratio_references", "seconds_ratio_lessons")
_DIGITS = {"%": 1, "pts": 2, "L2": 4, "nats": 3, "1e-4 nats": 1, "probability": 3, "s": 1}


@dataclass(frozen=True)
class Column:
    """A metric as a table shows it; `better`: lower, higher, or "gold" where the gold's number is the aim."""

    metric: str
    title: str
    unit: str
    better: Better

    @property
    def header(self) -> str:
        """Title, unit and direction, such as "avg gap (pts) ↓"."""
        unit = f" ({self.unit})" if self.unit else ""
        return f"{self.title}{unit} {ARROWS[self.better]}"

    def number(self, value: float) -> str:
        """The value with the digits that its unit deserves."""
        if self.unit == "×":
            return times(value)
        return f"{value:.{_DIGITS.get(self.unit, 3)}f}"

    def text(self, estimate: Estimate | None) -> str:
        """Mean and interval; without interval where there is but one seed; a dash where nothing was measured."""
        if estimate is None:
            return NONE
        mean = self.number(estimate.mean)
        if math.isnan(estimate.low):
            return mean
        return f"{mean} [{self.number(estimate.low)}, {self.number(estimate.high)}]"


_OURS = (
    Column("seconds_ratio_alone", "time / retraining, alone", "×", "lower"),
    Column("seconds_ratio_whole", "time / retraining, with what is made once", "×", "lower"),
    Column("seconds_ratio_references", "references, once", "×", "lower"),
    Column("seconds_ratio_lessons", "twin fitted on them, once", "×", "lower"),
    Column("seconds_ratio_audits", "audits so far", "×", "lower"),
    Column("seconds_ratio_total", "all so far, with audits and what is made once", "×", "lower"),
    Column("seconds_alone", "time, alone", "s", "lower"),
    Column("klom_forget", "KLoM forget", "nats", "lower"),
    Column("klom_retain", "KLoM retain", "nats", "lower"),
    Column("klom_test", "KLoM test", "nats", "lower"),
    Column("ulira_accuracy", "U-LiRA accuracy, ideal 50", "%", "gold"),
    Column("klom_forget_p95", "KLoM forget, 95th percentile", "nats", "lower"),
    Column("klom_retain_p95", "KLoM retain, 95th percentile", "nats", "lower"),
    Column("klom_test_p95", "KLoM test, 95th percentile", "nats", "lower"),
    Column("ulira_auc", "U-LiRA AUC", "%", "gold"),
    Column("lira_online_auc", "online LiRA AUC", "%", "gold"),
    Column("lira_online_tpr_at_1pct_fpr", "online LiRA TPR at 1 % FPR", "%", "gold"),
    Column("lira_online_tpr_at_01pct_fpr", "online LiRA TPR at 0.1 % FPR", "%", "gold"),
    Column("forgetting_score", "forgetting quality F", "", "higher"),
    Column("challenge_score", "challenge score", "", "higher"),
)


def column(cells: Cells, metric: str) -> Column:
    """The column of a metric: the audit's own words, the bench's, or for an unknown one its name and stored unit."""
    known = _known()
    if metric in known:
        return known[metric]
    for prefix, words in {LATEST: "latest alone", FIRST: "the first alone"}.items():
        if metric.startswith(prefix):
            whole = column(cells, metric.removeprefix(prefix))
            return replace(whole, metric=metric, title=f"{whole.title}, {words}")
    return Column(metric, metric.replace("_", " "), cells.units.get(metric, ""), "gold")


def comparison_columns(cells: Cells, forget_set: str) -> list[Column]:
    """The columns that hold a number in this forget set: quality, shadow attacks, cost."""
    present = _present(cells, forget_set)
    shadow = sorted(metric for metric in present if metric.startswith(SHADOW))
    return [column(cells, metric) for metric in (*QUALITY, *shadow, *COST) if metric in present]


def further_columns(cells: Cells, forget_set: str) -> list[Column]:
    """The audit's other metrics that hold a number in this forget set; no parts of the average gap."""
    shown = {each.metric for each in comparison_columns(cells, forget_set)}
    parts = {"accuracy_forget", "gap_ua", "gap_ra", "gap_ta", "gap_mia"}
    present = _present(cells, forget_set) - shown - parts
    return [column(cells, metric) for metric in all_metrics() if metric in present]


def _present(cells: Cells, forget_set: str) -> set[str]:
    rows = set(cells.rows(forget_set))
    return {metric for name, row, metric in cells.numbers if name == forget_set and row in rows}


def times(value: float) -> str:
    """A ratio with two significant digits, and whole numbers from ten on."""
    if math.isinf(value):
        return "∞"
    for least, digits in ((9.95, 0), (0.995, 1), (0.0995, 2)):
        if abs(value) >= least:
            return f"{value:.{digits}f}"
    return f"{value:.2g}"


def differences(column: Column) -> Column:
    """The column of differences between two of its numbers: percentages differ by points."""
    return replace(column, unit="pts") if column.unit == "%" else column


def signed(column: Column, estimate: Estimate) -> str:
    """A difference with its sign and interval; one of percentages is in points."""
    text = differences(column).text(estimate)
    return text if text.startswith("-") else f"+{text}"


def with_unit(column: Column, text: str) -> str:
    """A number's text with its unit, where the unit says something."""
    return f"{text} {column.unit}" if column.unit not in ("", "L2") else text


@cache
def _known() -> dict[str, Column]:
    audit = {
        m.name: Column(m.name, m.title, "" if m.unit == "share" else m.unit, m.better) for m in all_metrics().values()
    }
    return audit | {each.metric: each for each in _OURS}
