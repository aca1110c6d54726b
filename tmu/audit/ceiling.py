"""How well the easy / hard predictor ranks, against several golds, beside the best that label noise allows.

Which forgotten records a retrained model gets wrong differs from one gold seed to the next. So the predictor's AUROC is
given against each gold and against all of them, next to the *ceiling*: how well the other golds' mean predicts one
gold. Plain accuracy is not given: with 5 % hard records "all easy" scores 95 %.
"""

from typing import Any

import numpy as np

from tmu.audit.roc import area, tally
from tmu.errors import DataError


def auroc(scores: np.ndarray, positives: np.ndarray) -> float:
    """Exact AUROC, 0..1, of scores (N,) for positives (N,), ties one half.

    `positives` is bool, or a share 0..1: such a record counts as positive by its share and as negative by the rest.
    Raises DataError where there is no positive or no negative at all.
    """
    positive, negative = tally(scores, positives)
    if positive.sum() <= 0 or negative.sum() <= 0:
        raise DataError("AUROC needs both positive and negative records.", "Use a larger or more varied set.")
    return float(area(positive, negative))


def average_precision(scores: np.ndarray, positives: np.ndarray) -> float:
    """Sum over thresholds of precision x gained recall, 0..1; scores (N,), positives bool (N,). Ties enter together."""
    positive, negative = (counts[::-1] for counts in tally(scores, positives))
    precision = np.cumsum(positive) / np.cumsum(positive + negative)
    return float((precision * positive).sum() / positive.sum())


def balanced_accuracy(chosen: np.ndarray, positives: np.ndarray) -> float:
    """Mean of the shares of positives chosen and of negatives not chosen, 0..1; both bool (N,)."""
    return float((chosen[positives].mean() + (~chosen[~positives]).mean()) / 2)


def hardest(scores: np.ndarray, n_hard: int) -> np.ndarray:
    """The `n_hard` records with the highest scores, bool (N,); equal scores by position."""
    chosen = np.zeros(len(scores), dtype=bool)
    chosen[np.argsort(-scores, kind="stable")[:n_hard]] = True
    return chosen


def predictor_ceiling(scores: np.ndarray, golds_wrong: np.ndarray, *, n_hard: int) -> dict[str, Any]:
    """Score the predictor against the golds; JSON-ready.

    `scores` (N,): predicted P(gold wrong) or any increasing function of it. `golds_wrong` bool (G, N).
    `n_hard`: the calibrated number of hard records (docs/method.md, section 4), at which balanced accuracy is taken.
    A gold with no wrong record, or with wrong ones only, cannot be ranked against: skipped and counted in `skipped`.
    Numbers that no gold allows are None.
    """
    both = np.asarray(golds_wrong.any(axis=1) & ~golds_wrong.all(axis=1))
    chosen = hardest(scores, n_hard)
    usable = golds_wrong[both]
    share = golds_wrong.mean(axis=0)
    return {
        "golds": len(golds_wrong),
        "skipped": int((~both).sum()),
        "auroc": _summary([auroc(scores, wrong) for wrong in usable]),
        "auroc_mean_gold": auroc(scores, share) if 0 < share.sum() < len(share) else None,
        "ceiling": _summary(_one_against_the_others(golds_wrong, both)),
        "average_precision": _summary([average_precision(scores, wrong) for wrong in usable]),
        "balanced_accuracy": _summary([balanced_accuracy(chosen, wrong) for wrong in usable]),
        "n_hard": n_hard,
    }


def _one_against_the_others(golds_wrong: np.ndarray, both: np.ndarray) -> list[float]:
    if len(golds_wrong) < 2:
        return []
    others = (golds_wrong.sum(axis=0) - golds_wrong) / (len(golds_wrong) - 1)
    return [auroc(rest, wrong) for rest, wrong in zip(others[both], golds_wrong[both], strict=True)]


def _summary(values: list[float]) -> dict[str, float | int] | None:
    if not values:
        return None
    return {"mean": float(np.mean(values)), "min": min(values), "max": max(values), "n": len(values)}
