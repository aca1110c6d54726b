"""Does the model answer record by record as a retrained one does? (`evaluation.md` 7)

Activation distance (Bad Teaching, arXiv 2205.08096): mean over records of ||softmax_u - softmax_g||_2, 0..sqrt(2),
averaged over the golds. Its floor, and label agreement's ceiling, is what two golds reach between themselves.
"""

import numpy as np

from tmu.audit.bootstrap import Value, mean_value
from tmu.audit.metrics.registry import metric
from tmu.audit.view import Case, View

_LARGEST = float(np.sqrt(2))


def _distances(model: View, golds: tuple[View, ...], name: str) -> np.ndarray:
    """||softmax_u - softmax_g||_2 per record (N,), averaged over the golds."""
    own = model.probabilities[name]
    return np.mean([np.linalg.norm(own - gold.probabilities[name], axis=1) for gold in golds], axis=0)


@metric(
    "activation_distance",
    title="activation distance",
    unit="L2",
    better="lower",
    needs_gold=True,
    headline=True,
    meaning="How differently this model and a retrained one answer on each forgotten record; 0 is identical.",
)
def activation_distance(case: Case) -> Value:
    """Activation distance on the forget set."""
    distances = _distances(case.model, case.golds, "forget")
    return mean_value(distances, (0.0, _LARGEST), case.resamples, case.seed)


@metric(
    "activation_distance_test",
    title="activation distance on test",
    unit="L2",
    better="lower",
    needs_gold=True,
    meaning="The same on never-seen records: whether the model still behaves like a retrained one in use.",
)
def activation_distance_test(case: Case) -> Value:
    """Activation distance on the test set."""
    distances = _distances(case.model, case.golds, "test")
    return mean_value(distances, (0.0, _LARGEST), case.resamples, case.seed)


@metric(
    "distance_gain",
    title="distance gained on doing nothing",
    unit="L2",
    better="higher",
    needs_gold=True,
    needs_original=True,
    meaning="How much closer to a retrained model's answers unlearning came; 0 is no better than nothing done.",
)
def distance_gain(case: Case) -> Value:
    """Activation distance of the original minus the model's, paired by record: sharper than two intervals."""
    gain = _distances(case.original, case.golds, "forget") - _distances(case.model, case.golds, "forget")
    return mean_value(gain, (-_LARGEST, _LARGEST), case.resamples, case.seed)


@metric(
    "label_agreement",
    title="label agreement",
    unit="%",
    better="higher",
    needs_gold=True,
    headline=True,
    meaning="Share of the forget set on which this model and a retrained one name the same class.",
)
def label_agreement(case: Case) -> Value:
    """Percent of the forget set with the gold's predicted class, averaged over the golds."""
    own = case.model.predicted["forget"]
    agreed = 100.0 * np.mean([own == gold.predicted["forget"] for gold in case.golds], axis=0)
    return mean_value(agreed, (0.0, 100.0), case.resamples, case.seed)
