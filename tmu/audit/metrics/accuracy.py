"""Accuracy on the three sets and MIA-efficacy: the four numbers of Unlearn-Sparse and SalUn's protocol.

UA = 100 - Acc(forget), RA = Acc(retain), TA = Acc(test), all in percent (arXiv 2304.04934, 2310.12508). The aim of each
is the gold's number; their distances to it are in `accuracy_gap.py`.
"""

from tmu.audit.bootstrap import Value
from tmu.audit.metrics.registry import metric
from tmu.audit.per_record import share_of
from tmu.audit.view import Case


@metric(
    "ua",
    title="UA",
    unit="%",
    better="gold",
    headline=True,
    meaning="Share of the forget set that the model gets wrong; a retrained model also gets most of it right.",
)
def ua(case: Case) -> Value:
    """Unlearning accuracy: 100 - accuracy on the forget set."""
    return share_of(case, ~case.model.correct["forget"])


@metric(
    "accuracy_forget",
    title="accuracy forget",
    unit="%",
    better="gold",
    meaning="Share of the forget set that the model gets right.",
)
def accuracy_forget(case: Case) -> Value:
    """Accuracy on the forget set."""
    return share_of(case, case.model.correct["forget"])


@metric(
    "accuracy_retain",
    title="RA",
    unit="%",
    better="gold",
    headline=True,
    meaning="Share of the kept training records that the model gets right.",
)
def accuracy_retain(case: Case) -> Value:
    """RA: accuracy on the retain set."""
    return share_of(case, case.model.correct["retain"])


@metric(
    "accuracy_test",
    title="TA",
    unit="%",
    better="gold",
    headline=True,
    meaning="Share of never-seen records that the model gets right: what the model is worth in use.",
)
def accuracy_test(case: Case) -> Value:
    """TA: accuracy on the test set."""
    return share_of(case, case.model.correct["test"])


@metric(
    "mia_efficacy",
    title="MIA",
    unit="%",
    better="gold",
    headline=True,
    meaning="Share of the forget set that a simple attack takes for never seen; it rises when forgetting works.",
)
def mia_efficacy(case: Case) -> Value:
    """Share of the forget set called non-member (`tmu/audit/attack.py`; logistic, not SVC).

    The interval resamples the forget set and leaves the attack as fitted.
    """
    return share_of(case, case.model.nonmember)
