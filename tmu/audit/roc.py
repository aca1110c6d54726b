"""Exact ROC numbers from tallies of positives and negatives at each distinct score; ties count one half.

A tally is a pair of arrays (..., M): how many (or how much weight of) positives and negatives have the m-th smallest
score. Leading axes are resamples, so one call gives a point value or a whole bootstrap.
"""

from collections.abc import Iterator

import numpy as np

from tmu.audit.bootstrap import Value, blocks, interval


def tally(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tally (M,) of scores (N,), where `positive` (N,) is 0/1 or a weight: the rest, 1 - positive, is negative."""
    levels, place = np.unique(scores, return_inverse=True)
    weight = positive.astype(np.float64)
    return (
        np.bincount(place, weights=weight, minlength=len(levels)),
        np.bincount(place, weights=1 - weight, minlength=len(levels)),
    )


def area(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """P(score of a positive > score of a negative) + P(equal) / 2, shape (...,), from a tally (..., M)."""
    below = np.cumsum(negatives, axis=-1) - negatives / 2
    return (positives * below).sum(axis=-1) / (positives.sum(axis=-1) * negatives.sum(axis=-1))


def tpr_at(fpr: float, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Largest true-positive rate (...,), 0..1, of a threshold whose false-positive rate is at most `fpr`.

    A step function, no interpolation: with fewer than 1 / fpr negatives not one of them may be above the threshold.
    """
    claimed_negatives = np.cumsum(negatives[..., ::-1], axis=-1)
    claimed_positives = np.cumsum(positives[..., ::-1], axis=-1)
    total = claimed_negatives[..., -1:]
    allowed = (claimed_negatives <= np.floor(fpr * total + 1e-9)).sum(axis=-1, keepdims=True)  # monotone: a prefix
    best = np.take_along_axis(claimed_positives, np.maximum(allowed - 1, 0), axis=-1)
    return np.where(allowed > 0, best / claimed_positives[..., -1:], 0.0)[..., 0]


def resampled_tallies(
    positives: np.ndarray, negatives: np.ndarray, resamples: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of tallies (R', M), R' adding up to `resamples`, of scores (P,) and (Q,) resampled each on its own."""
    levels = np.unique(np.concatenate([positives, negatives]))
    ours, theirs = (np.searchsorted(levels, scores) for scores in (positives, negatives))
    for rows in blocks(resamples, len(levels)):
        first = _resample(ours, rows, len(levels), rng)
        yield first, _resample(theirs, rows, len(levels), rng)


def _resample(place: np.ndarray, rows: int, levels: int, rng: np.random.Generator) -> np.ndarray:
    drawn = place[rng.integers(0, len(place), (rows, len(place)))] + np.arange(rows)[:, None] * levels
    return np.bincount(drawn.ravel(), minlength=rows * levels).reshape(rows, levels)


def area_value(positives: np.ndarray, negatives: np.ndarray, resamples: int) -> Value:
    """AUC in percent, averaged over S attacks on the same records, from scores (S, P) and (S, Q).

    Interval: standard error of DeLong et al. 1988 from the placements, which are averaged over the attacks first, so
    that what the attacks share is counted once. Each side is joined by one made-up record at one half, so that two
    records which happen to agree are not called certain. A normal law, no drawing: O(S (P + Q) log Q).
    """
    from scipy.special import ndtri

    ours, theirs = _placements(positives, negatives)
    value = float(ours.mean())
    spreads = [((side - value) ** 2).sum() + (value - 0.5) ** 2 for side in (ours, theirs)]
    error = np.sqrt(sum(spread / len(side) ** 2 for spread, side in zip(spreads, (ours, theirs), strict=True)))
    quantiles = value + error * ndtri((np.arange(resamples) + 0.5) / resamples)
    return interval(100 * value, 100 * quantiles, min(len(ours), len(theirs)), (0.0, 100.0))


def _placements(positives: np.ndarray, negatives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per positive the share of negatives below it, (P,), per negative the share of positives above it, (Q,)."""
    ours, theirs = np.zeros(positives.shape[1]), np.zeros(negatives.shape[1])
    for above, below in zip(positives, negatives, strict=True):
        ours += _below(np.sort(below), above) / len(positives)
        theirs += (1 - _below(np.sort(above), below)) / len(positives)
    return ours, theirs


def _below(ordered: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Share of `ordered` (M,) below each score, equal ones counted one half."""
    places = np.searchsorted(ordered, scores, side="left") + np.searchsorted(ordered, scores, side="right")
    return places / 2 / len(ordered)


def tpr_value(fpr: float, positives: np.ndarray, negatives: np.ndarray, resamples: int, seed: int) -> Value:
    """True-positive rate in percent at a false-positive rate of at most `fpr`, below 1, averaged over S attacks.

    Scores (S, P) and (S, Q) of the same records. The bootstrap is drawn without resampling records: the threshold is an
    order statistic of Q draws, so its place follows a beta law, the positives above it a binomial one. The attacks
    share the place, as if they erred together.
    """
    rng, allowed = np.random.default_rng(seed), int(np.floor(fpr * negatives.shape[1] + 1e-9))
    ups, downs = np.sort(positives, axis=1), np.sort(negatives, axis=1)[:, ::-1]
    p, q = ups.shape[1], downs.shape[1]

    def rate(places: np.ndarray) -> np.ndarray:
        claimed = [p - np.searchsorted(up, down[places], side="right") for up, down in zip(ups, downs, strict=True)]
        return np.mean(claimed, axis=0) / p

    value = float(rate(np.array([allowed]))[0])
    places = np.minimum((q * rng.beta(allowed + 1, q - allowed, resamples)).astype(np.int64), q - 1)
    drawn = rng.binomial(p, rate(places)) / p
    return interval(100 * value, 100 * drawn, min(p, q), (0.0, 100.0))
