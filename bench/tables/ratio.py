"""Ratio of two means over seeds with its interval (Fieller 1954), for "how many times the floor".

A ratio taken seed by seed explodes where a seed's floor is near zero; Fieller's interval does not. It is the set of
all r for which "first - r second = 0", paired by seed, is not rejected by Student's t at 5 %. Where the second mean
itself cannot be told from zero, the set has no upper end.
"""

import numpy as np
from scipy import stats

from bench.statistics import Estimate


def ratio(first: dict[int, float], second: dict[int, float]) -> Estimate | None:
    """mean(first) / mean(second) over the seeds that both have; both are at least 0. None where it is not defined.

    An interval without upper end ends at infinity; with one seed it is unknown (NaN).
    """
    seeds = sorted(first.keys() & second.keys())
    x, y = (np.array([side[seed] for seed in seeds]) for side in (first, second))
    if not seeds or y.mean() <= 0:
        return None
    mean = float(x.mean() / y.mean())
    if len(seeds) < 2:
        return Estimate(mean, float("nan"), float("nan"), len(seeds))
    covariance = np.cov(np.stack([x, y])) / len(seeds) * stats.t.ppf(0.975, len(seeds) - 1) ** 2
    a = y.mean() ** 2 - covariance[1, 1]
    b = x.mean() * y.mean() - covariance[0, 1]
    c = x.mean() ** 2 - covariance[0, 0]
    if a <= 0:
        return Estimate(mean, 0.0, float("inf"), len(seeds))
    root = np.sqrt(max(b * b - a * c, 0.0))
    return Estimate(mean, float(max((b - root) / a, 0.0)), float((b + root) / a), len(seeds))
