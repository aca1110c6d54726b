"""What the model's body still knows: the audit's numbers with every model's last layer fitted anew.

See `tmu/audit/probes/head_refit.py`. UA and confidence aim at the golds' number, the activation distance is to the
golds' bodies with fresh heads of their own; its floor is what two golds reach between themselves, and the original's
row is a body that was left as it was.
"""

import numpy as np

from tmu.audit.bootstrap import Value
from tmu.audit.metrics.alignment import distance_gained, distance_to_golds
from tmu.audit.metrics.registry import metric
from tmu.audit.per_record import mean_over, share_of
from tmu.audit.view import Case, View


def _with_fresh_head(view: View) -> np.ndarray:
    return view.head_probabilities


@metric(
    "head_ua",
    title="UA, fresh head",
    unit="%",
    better="gold",
    needs_probes=True,
    meaning="Share of the forget set that the model's body gets wrong once its last layer is refitted on kept records.",
)
def head_ua(case: Case) -> Value:
    """Unlearning accuracy with a fresh head."""
    return share_of(case, case.model.head_probabilities.argmax(axis=1) != case.model.sets.labels["forget"])


@metric(
    "head_confidence",
    title="forget confidence, fresh head",
    unit="probability",
    better="gold",
    needs_probes=True,
    meaning="Mean probability of a forgotten record's true class once the last layer is refitted on kept records.",
)
def head_confidence(case: Case) -> Value:
    """Mean p_y over the forget set with a fresh head, 0..1."""
    labels = case.model.sets.labels["forget"]
    of_true = case.model.head_probabilities[np.arange(len(labels)), labels]
    return mean_over(case, of_true, (0.0, 1.0))


@metric(
    "head_distance",
    title="activation distance, fresh head",
    unit="L2",
    better="lower",
    needs_gold=True,
    needs_probes=True,
    headline=True,
    meaning="How differently the bodies of this model and of a retrained one answer, both with a refitted last layer: a change of the last layer alone cannot lower it.",  # noqa: E501
)
def head_distance(case: Case) -> Value:
    """Activation distance on the forget set with fresh heads."""
    return distance_to_golds(case, _with_fresh_head)


@metric(
    "head_distance_gain",
    title="distance gained on doing nothing, fresh head",
    unit="L2",
    better="higher",
    needs_gold=True,
    needs_original=True,
    needs_probes=True,
    meaning="How much closer to a retrained model's body unlearning came; 0 is no better than nothing done.",
)
def head_distance_gain(case: Case) -> Value:
    """Activation distance with fresh heads, the original's minus the model's, paired by record."""
    return distance_gained(case, _with_fresh_head)
