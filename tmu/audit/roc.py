"""Exact ROC numbers from tallies of positives and negatives at each distinct score; ties count one half.

A tally is a pair of arrays (..., M): how many (or how much weight of) positives and negatives have the m-th smallest
score. Leading axes are resamples, so one call gives a point value or a whole bootstrap.
"""

from collections.abc import Iterator

import numpy as np

from tmu.audit.bootstrap import blocks


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
    places = [np.searchsorted(levels, scores) for scores in (positives, negatives)]
    for rows in blocks(resamples, len(levels)):
        yield tuple(_resample(place, rows, len(levels), rng) for place in places)


def _resample(place: np.ndarray, rows: int, levels: int, rng: np.random.Generator) -> np.ndarray:
    drawn = place[rng.integers(0, len(place), (rows, len(place)))] + np.arange(rows)[:, None] * levels
    return np.bincount(drawn.ravel(), minlength=rows * levels).reshape(rows, levels)
