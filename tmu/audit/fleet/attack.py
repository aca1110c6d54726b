"""What a membership attack finds, from its scores: area under the ROC curve and true-positive rates at low error."""

from dataclasses import dataclass

import numpy as np

from tmu.audit.roc import area, tally, tpr_at
from tmu.errors import DataError


@dataclass(frozen=True)
class AttackNumbers:
    """Shares 0..1. No information: `auc` one half, each TPR about its FPR; far below one half stands out, too."""

    auc: float
    tpr_at_1pct_fpr: float
    tpr_at_01pct_fpr: float


def attack_numbers(positives: np.ndarray, negatives: np.ndarray) -> AttackNumbers:
    """Exact numbers of scores (P,) of members and (Q,) of non-members, higher meaning member; ties one half.

    With fewer than 1,000 negatives the rate at 0.1 % allows no false alarm at all (`roc.tpr_at`). Raises DataError
    where a side is empty. Cost: one sort.
    """
    if not (len(positives) and len(negatives)):
        raise DataError("The attack has no members or no non-members to tell apart.", "Score records of both kinds.")
    counts = tally(np.concatenate([positives, negatives]), np.repeat([1, 0], [len(positives), len(negatives)]))
    return AttackNumbers(float(area(*counts)), float(tpr_at(0.01, *counts)), float(tpr_at(0.001, *counts)))
