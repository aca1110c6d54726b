"""Mean and 95 % interval over seeds (Student's t), also of paired differences."""

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """Mean over n seeds and its 95 % interval; with one seed the interval is unknown (NaN)."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.4g} [{self.low:.4g}, {self.high:.4g}]"


def over_seeds(values: dict[int, float]) -> Estimate:
    """Mean of one value a seed."""
    x = np.array([values[seed] for seed in sorted(values)])
    if len(x) < 2:
        return Estimate(float(x.mean()), float("nan"), float("nan"), len(x))
    reach = stats.t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))
    return Estimate(float(x.mean()), float(x.mean() - reach), float(x.mean() + reach), len(x))


def paired(first: dict[int, float], second: dict[int, float]) -> Estimate:
    """Mean of first - second over the seeds that both have."""
    return over_seeds({seed: first[seed] - second[seed] for seed in first.keys() & second.keys()})
