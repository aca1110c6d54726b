"""The forgetting score of the NeurIPS 2023 unlearning challenge (arXiv 2406.09073): many models, one epsilon a record.

Per record, the logit-scaled confidences of unlearned and retrained models are told apart by threshold attacks;
epsilon = max over attacks of max{ ln(1 - d - FPR) - ln FNR, ln(1 - d - FNR) - ln FPR }, d = 1e-5, between 0 and 50.
An attack with exactly one of FPR, FNR zero is dropped, one with both zero gives 50. A record on which one side spreads
less than 1 % of the other's range gives 50. Bins of .5 up to ceil(ln(N - 1)): bin n scores 2^-n, beyond them 0.
F = mean over records; score = F · RA_u / RA_r · TA_u / TA_r. Higher is better.

Attacks: every single threshold, in both directions, and the published family of intervals about the range of the
narrower side (edges within 2 units, 100 a unit). The published code tries single thresholds on a grid and in one
direction, so its epsilon is now and then smaller, and none where a grid is too coarse; and it stops on an assertion.
Null: epsilon is a maximum over some 10^5 attacks without correction, so equal laws do not score 1 but about 0.18;
read F against what a second fleet of retrained models gets in the unlearned ones' place.
Cost: about 1 ms a record with 512 models a side: counts come from sorted arrays, epsilons from one table of counts.
"""

import numpy as np

from tmu.audit.fleet.sides import check_sides

DELTA = 1e-5
CAP = 50.0
BIN = 0.5
_REACH = 2.0
_STEPS = 400  # of the interval's edges: 100 a unit over +-2
_STEP = 2 * _REACH / (_STEPS - 1)
_FLAT = 0.01


def forgetting_epsilons(unlearned: np.ndarray, retrained: np.ndarray) -> np.ndarray:
    """Epsilon (N,), 0..50, per record, of logit-scaled confidences (A, N) and (B, N).

    Raises DataError for sides that do not fit or hold fewer than three models.
    """
    check_sides(unlearned, retrained, at_least=3)
    table = _epsilon_table(len(unlearned), len(retrained))
    sides = (np.sort(side.astype(np.float64), axis=0).T for side in (unlearned, retrained))
    return np.array([_epsilon(ours, theirs, table) for ours, theirs in zip(*sides, strict=True)])


def forgetting_quality(epsilons: np.ndarray, models: int) -> float:
    """F, 0..1, of epsilons (N,) from fleets of `models` models a side (the smaller one where they differ)."""
    bins = int(np.ceil(np.log(models - 1)) / BIN)
    place = np.floor(epsilons / BIN)
    return float(np.where(place < bins, 0.5**place, 0.0).mean())


def challenge_score(quality: float, retain: tuple[float, float], test: tuple[float, float]) -> float:
    """F · (RA_u / RA_r) · (TA_u / TA_r), accuracies (unlearned, retrained) in one unit. Not capped at 1."""
    return quality * (retain[0] / retain[1]) * (test[0] / test[1])


def _epsilon_table(ours: int, theirs: int) -> np.ndarray:
    """Epsilon (A + 1, B + 1) by the numbers of wrongly placed models of each side; -1 where the attack is dropped."""
    first, second = np.arange(ours + 1)[:, None] / ours, np.arange(theirs + 1)[None, :] / theirs
    with np.errstate(divide="ignore", invalid="ignore"):
        table = np.fmax(np.log(1 - DELTA - first) - np.log(second), np.log(1 - DELTA - second) - np.log(first))
    table = np.clip(np.nan_to_num(table, nan=0.0), 0.0, CAP)
    table[0, :] = table[:, 0] = -1.0
    table[0, 0] = CAP
    return table


def _epsilon(ours: np.ndarray, theirs: np.ndarray, table: np.ndarray) -> float:
    """Epsilon of one record from the sorted confidences (A,) and (B,) of both sides."""
    ranges = ours[-1] - ours[0], theirs[-1] - theirs[0]
    if max(ranges) == 0:
        return 0.0 if ours[0] == theirs[0] else CAP
    if min(ranges) < _FLAT * max(ranges):
        return CAP
    return max(_single(ours, theirs, table), _double(ours, theirs, ranges, table))


def _single(ours: np.ndarray, theirs: np.ndarray, table: np.ndarray) -> float:
    """Best epsilon of "at least t" and of "below t"; t at the data is every threshold there is."""
    thresholds = np.concatenate([ours, theirs])
    ours_below, theirs_below = (np.searchsorted(side, thresholds, side="left") for side in (ours, theirs))
    as_ours = table[ours_below, len(theirs) - theirs_below]
    as_theirs = table[len(ours) - ours_below, theirs_below]
    return float(max(as_ours.max(), as_theirs.max()))


def _double(ours: np.ndarray, theirs: np.ndarray, ranges: tuple[float, float], table: np.ndarray) -> float:
    """Best epsilon of "inside the interval means the narrower side".

    Right edge r in [max - 2, max + 2] of the narrower side, left edge in [r - range - 2, r - range + 2], 400 steps
    each. Both grids have one step, so that there are but 799 different left edges: min + a whole number of steps.
    """
    narrow_is_ours = ranges[0] < ranges[1]
    narrow = ours if narrow_is_ours else theirs
    right = narrow[-1] + (np.arange(_STEPS) - (_STEPS - 1) / 2) * _STEP
    left = narrow[0] + (np.arange(2 * _STEPS - 1) - (_STEPS - 1)) * _STEP
    first, second = (_inside(side, right, left) for side in (ours, theirs))
    if narrow_is_ours:
        first = len(ours) - first
    else:
        second = len(theirs) - second
    return float(table.ravel().take(first * table.shape[1] + second).max())


def _inside(side: np.ndarray, right: np.ndarray, left: np.ndarray) -> np.ndarray:
    """How many of the sorted confidences (A,) lie in each interval, (400, 400): right edge k, left edge k + m."""
    up_to = np.searchsorted(side, right, side="right")
    below = np.lib.stride_tricks.sliding_window_view(np.searchsorted(side, left, side="left"), _STEPS)
    return np.maximum(up_to[:, None] - below, 0)
