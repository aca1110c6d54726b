"""LiRA and U-LiRA: per-record Gaussian likelihood ratios on the logit-scaled confidence, from shadow models.

LiRA (Carlini et al. 2022): log N(c; in) - log N(c; out), where "in" are shadow models trained on the record and "out"
those that never saw it. U-LiRA (Hayes et al., arXiv 2403.01218): "in" are models that learned the record and then
unlearned it; score = N(c; f) / (N(c; f) + N(c; n)), above .5 means "was unlearned".
Direction: the aim is no information: accuracy and AUC one half, TPR = FPR; far below one half stands out, too.
Variances are per record, unbiased, and at least `SMALLEST_SHARE` of the population's mean variance: a record whose few
shadows happen to agree would otherwise outweigh all others. Failure mode: a few shadows a side estimate a variance
badly and the attack then looks weaker than it is. Cost: O(shadows x records).
"""

from dataclasses import dataclass

import numpy as np

from tmu.audit.fleet.attack import AttackNumbers, attack_numbers
from tmu.audit.fleet.sides import check_sides
from tmu.errors import DataError

SMALLEST_SHARE = 0.01
_TINY = 1e-12  # where no shadow of any record differs from another


def lira_scores(observed: np.ndarray, shadows: np.ndarray, member: np.ndarray) -> np.ndarray:
    """LiRA log likelihood ratio (N,), higher meaning member, of a target's confidences (N,).

    `shadows` (S, N): confidences of the shadow models; `member` (S, N) bool: which of them were trained on the record.
    Raises DataError where a record lacks two shadows on either side.
    """
    check_sides(shadows, observed[None], at_least=1)
    if min(member.sum(axis=0).min(), (~member).sum(axis=0).min()) < 2:
        raise DataError(
            "A record has fewer than two shadow models that saw it, or that did not.", "Train more shadows."
        )
    sides = [_moments(shadows, each) for each in (member, ~member)]
    floor = _floor(*(variance for _, variance in sides))
    inside, outside = (_log_density(observed, mean, np.maximum(variance, floor)) for mean, variance in sides)
    return inside - outside


def lira_offline_scores(observed: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Offline LiRA with pooled variance (N,): how far the confidence lies above its mean under OUT models, in logits.

    `observed` (N,), `out` (S, N), S at least 1. Offline (Carlini et al. 2022) there is no "in" model, and the score is
    P(N(mean, variance) < c). With few references a variance of each record's own is noise (the authors share one below
    64 shadow models), and one that all records share changes no rank: it is left out.
    """
    check_sides(out, observed[None], at_least=1)
    return observed - out.mean(axis=0, dtype=np.float64)


@dataclass(frozen=True)
class ULira:
    """`accuracy` 0..1 of the rule "score above .5" over both sides, and the ROC's numbers over records and models."""

    accuracy: float
    numbers: AttackNumbers


def u_lira_scores(unlearned: np.ndarray, never: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """U-LiRA scores (S, N), 0..1, of every model of both sides (S, N): each is attacked with the others as shadows.

    The i-th models of both sides are left out together: both Gaussians then rest on equally many shadows, and two
    sides of the same law give an accuracy of exactly one half on average. Leaving out one model alone would not.
    Raises DataError for sides of different sizes or with fewer than three models.
    """
    check_sides(unlearned, never, at_least=3)
    if len(unlearned) != len(never):
        raise DataError(
            f"There are {len(unlearned)} unlearned and {len(never)} never-trained models.", "Give as many of each."
        )
    centre = np.concatenate([unlearned, never]).mean(axis=0)
    sides = [side.astype(np.float64) - centre for side in (unlearned, never)]
    floor = _floor(*(side.var(axis=0, ddof=1) for side in sides))
    fitted = [(mean, np.maximum(variance, floor)) for mean, variance in map(_left_out, sides)]
    logs = [[_log_density(side, *each) for each in fitted] for side in sides]
    first, second = (_logistic(as_unlearned - as_never) for as_unlearned, as_never in logs)
    return first, second


def u_lira(unlearned: np.ndarray, never: np.ndarray) -> ULira:
    """U-LiRA of confidences (S, N) under models that unlearned the records, and under models never trained on them."""
    positives, negatives = (scores.ravel() for scores in u_lira_scores(unlearned, never))
    right = [(side > 0.5).mean() + (side == 0.5).mean() / 2 for side in (positives, 1 - negatives)]
    return ULira(float(np.mean(right)), attack_numbers(positives, negatives))


def _moments(values: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (N,) and unbiased variance (N,) of the used (S, N) values of each column."""
    count = used.sum(axis=0)
    mean = np.where(used, values, 0.0).sum(axis=0, dtype=np.float64) / count
    deviations = np.where(used, values - mean, 0.0)
    return mean, (deviations**2).sum(axis=0) / (count - 1)


def _left_out(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and unbiased variance (S, N) of each column without the row in question; columns are nearly centred."""
    rest = len(values) - 1
    mean = (values.sum(axis=0) - values) / rest
    squares = (values**2).sum(axis=0) - values**2
    return mean, np.maximum(squares - rest * mean**2, 0.0) / (rest - 1)


def _floor(*variances: np.ndarray) -> float:
    return max(SMALLEST_SHARE * float(np.mean(variances)), _TINY)


def _log_density(values: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Log N(values; mean, variance), without the constant that both sides share."""
    return -0.5 * (np.log(variance) + (values - mean) ** 2 / variance)


def _logistic(x: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return expit(x)
