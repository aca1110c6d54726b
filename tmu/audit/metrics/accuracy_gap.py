"""Gaps to the gold and their average (Unlearn-Sparse, SalUn: arXiv 2304.04934, 2310.12508), in percentage points.

Average gap = (|dUA| + |dRA| + |dTA| + |dMIA|) / 4, each difference against the mean over the golds; paired by record.
The mean of fewer golds is noisier and lies farther away, so every row faces equally many (`Case.faced`).
Failure mode: gaps of means cancel errors on single records; read them beside `alignment.py`. Doing nothing scores about
4 in SalUn's setting, two retrains differ by .2 to .3.
"""

from collections.abc import Callable

import numpy as np

from tmu.audit.bootstrap import Value, absolute, average, interval, resampled_means
from tmu.audit.metrics.registry import metric
from tmu.audit.per_record import mean_over
from tmu.audit.view import Case, View

_Hits = Callable[[View], np.ndarray]  # bool (N,): the records of one set that a number counts
_COUNTED: dict[str, _Hits] = {
    "UA": lambda view: ~view.correct["forget"],
    "RA": lambda view: view.correct["retain"],
    "TA": lambda view: view.correct["test"],
    "MIA": lambda view: view.nonmember,
}
_BY_SET = (("UA", "MIA"), ("RA",), ("TA",))


def _difference(case: Case, number: str, golds: tuple[View, ...]) -> np.ndarray:
    """Percentage points (N,) by which each record differs from the mean over the golds."""
    hits = _COUNTED[number]
    return 100.0 * (hits(case.model) - np.mean([hits(gold) for gold in golds], axis=0))


def _register(number: str) -> None:
    @metric(
        f"gap_{number.lower()}",
        title=f"{number} gap",
        unit="pts",
        better="lower",
        needs_gold=True,
        meaning=f"How far {number} is from the retrained models'.",
    )
    def gap(case: Case) -> Value:
        """|number - its mean over the golds|."""
        differences = (_difference(case, number, golds) for golds in case.faced)
        return average([absolute(mean_over(case, each, (-100.0, 100.0))) for each in differences])


for _number in _COUNTED:
    _register(_number)


@metric(
    "average_gap",
    title="avg gap",
    unit="pts",
    better="lower",
    needs_gold=True,
    headline=True,
    meaning="Mean of the four gaps above: one number for how unlike a retrained model this one is on average.",
)
def average_gap(case: Case) -> Value:
    """(|dUA| + |dRA| + |dTA| + |dMIA|) / 4; UA and MIA share their resampled records.

    The three sets are independent draws, so their intervals are joined in quadrature (MOVER: Zou and Donner 2008).
    Resampling the sum instead would pass off a forget set of two records, on which nothing differed, as certain.
    """
    return average([_average_gap(case, golds) for golds in case.faced])


def _average_gap(case: Case, golds: tuple[View, ...]) -> Value:
    columns = [np.stack([_difference(case, number, golds) for number in each], axis=1) for each in _BY_SET]
    parts = [_quarter_of_gaps(case, each) for each in columns]
    value = sum(part.value for part in parts)
    low = value - np.hypot.reduce([part.value - part.low for part in parts])
    high = value + np.hypot.reduce([part.high - part.value for part in parts])
    return Value(value, float(max(low, 0.0)), float(min(high, 100.0)))


def _quarter_of_gaps(case: Case, differences: np.ndarray) -> Value:
    """Sum over columns of |mean of `differences` (N, M)|, divided by 4, in points."""
    resampled = resampled_means(differences, case.resamples, np.random.default_rng(case.seed))
    value = float(np.abs(differences.mean(axis=0)).sum() / 4)
    span = (0.0, 25.0 * differences.shape[1])
    return interval(value, np.abs(resampled).sum(axis=1) / 4, len(differences), span)
