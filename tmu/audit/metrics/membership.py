"""Can the forget set be told from never-seen records by the audited model's confidence alone?

Threshold attack on the logit-scaled confidence log p_y / (1 - p_y), forget records claimed as members against test
records. AUC near 50 % and TPR near the FPR mean "looks never seen"; the aim is the gold's own numbers, because a forget
set is not a random draw. Far below 50 % is not success: the records stand out by low confidence (Streisand effect).
A population attack: it understates what per-example shadow-model attacks find (U-LiRA, arXiv 2403.01218).
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from tmu.audit.bootstrap import Value, interval
from tmu.audit.metrics.registry import metric
from tmu.audit.per_record import mean_over
from tmu.audit.roc import area, resampled_tallies, tally, tpr_at
from tmu.audit.view import Case

_Curve = Callable[[np.ndarray, np.ndarray], np.ndarray]


def roc_percent(case: Case, number: _Curve) -> Value:
    """100 x `number` of the attack's exact ROC; the interval resamples forget and test records, each on its own."""
    members, strangers = case.model.logit_confidence["forget"], case.model.logit_confidence["test"]
    claimed = np.repeat([1, 0], [len(members), len(strangers)])
    value = float(number(*tally(np.concatenate([members, strangers]), claimed)))
    rng = np.random.default_rng(case.seed)
    drawn = [number(*block) for block in resampled_tallies(members, strangers, case.resamples, rng)]
    records = min(len(members), len(strangers))
    return interval(100 * value, 100 * np.concatenate(drawn), records, (0.0, 100.0))


@metric(
    "membership_auc",
    title="membership AUC",
    unit="%",
    better="gold",
    headline=True,
    meaning="How well confidence tells forgotten from never-seen records: 50 is not at all, 100 always, far below 50 stands out too.",  # noqa: E501
)
def membership_auc(case: Case) -> Value:
    """AUC of the threshold attack, percent, ties counted one half."""
    return roc_percent(case, area)


@metric(
    "membership_tpr_at_1pct_fpr",
    title="TPR at 1 % FPR",
    unit="%",
    better="gold",
    headline=True,
    meaning="Share of forgotten records found when at most 1 in 100 never-seen records may be accused wrongly; about 1 is chance.",  # noqa: E501
)
def membership_tpr_at_1pct_fpr(case: Case) -> Value:
    """True-positive rate, percent, at a false-positive rate of at most 1 %."""
    return roc_percent(case, partial(tpr_at, 0.01))


@metric(
    "forget_confidence",
    title="forget confidence",
    unit="probability",
    better="gold",
    meaning="Mean probability that the model gives to the true class of a forgotten record.",
)
def forget_confidence(case: Case) -> Value:
    """Mean p_y over the forget set, 0..1."""
    return mean_over(case, case.model.confidence["forget"], (0.0, 1.0))
