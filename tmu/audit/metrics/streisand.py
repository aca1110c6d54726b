"""Do forgotten records stand out by being *less* sure than records never seen? (Streisand effect)

The membership attack of `membership.py`, reversed: forget records are claimed where the logit-scaled confidence is
*below* a threshold that at most 1 % of the test records fall below. Unlearning that drives the confidence of a record
under what a retrain gives it makes that record detectable as deleted. About 1 % is chance, but the aim is the golds'
own number, because a forget set is not a random draw; their rows are the floor. Cost: as the membership TPR.
"""

import numpy as np

from tmu.audit.bootstrap import Value
from tmu.audit.metrics.membership import roc_percent
from tmu.audit.metrics.registry import metric
from tmu.audit.roc import tpr_at
from tmu.audit.view import Case


def _reversed_tpr(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """TPR at 1 % FPR of tallies (..., M) with the order of the scores turned round."""
    return tpr_at(0.01, positives[..., ::-1], negatives[..., ::-1])


@metric(
    "streisand_tpr_at_1pct_fpr",
    title="TPR of low confidence at 1 % FPR",
    unit="%",
    better="gold",
    meaning="Share of forgotten records given away by unusually low confidence when at most 1 in 100 never-seen records may be accused wrongly; about 1 is chance.",  # noqa: E501
)
def streisand_tpr_at_1pct_fpr(case: Case) -> Value:
    """True-positive rate, percent, of "low confidence means forgotten" at a false-positive rate of at most 1 %."""
    return roc_percent(case, _reversed_tpr)
