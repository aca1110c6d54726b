"""Does the model answer record by record as a retrained one does?

Activation distance (Bad Teaching, arXiv 2205.08096): mean over records of ||softmax_u - softmax_g||_2, 0..sqrt(2),
averaged over the golds. Its floor, and label agreement's ceiling, is what two golds reach between themselves.
"""

from collections.abc import Callable

import numpy as np

from tmu.audit.bootstrap import Value
from tmu.audit.metrics.registry import metric
from tmu.audit.per_record import mean_over, share_of
from tmu.audit.view import Case, View

Answers = Callable[[View], np.ndarray]  # a model's softmax (N, K) on one set
_LARGEST = float(np.sqrt(2))


def distance_to_golds(case: Case, answers: Answers) -> Value:
    """Activation distance of the case's model, 0..sqrt(2)."""
    return mean_over(case, _distances(case.model, case, answers), (0.0, _LARGEST))


def distance_gained(case: Case, answers: Answers) -> Value:
    """The original's activation distance minus the model's, paired by record: sharper than two intervals."""
    gain = _distances(case.untouched, case, answers) - _distances(case.model, case, answers)
    return mean_over(case, gain, (-_LARGEST, _LARGEST))


def _distances(model: View, case: Case, answers: Answers) -> np.ndarray:
    """||softmax_u - softmax_g||_2 per record (N,), averaged over the golds."""
    own = answers(model)
    return np.mean([np.linalg.norm(own - answers(gold), axis=1) for gold in case.golds], axis=0)


def _on_forget(view: View) -> np.ndarray:
    return view.probabilities["forget"]


def _on_test(view: View) -> np.ndarray:
    return view.probabilities["test"]


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
    return distance_to_golds(case, _on_forget)


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
    return distance_to_golds(case, _on_test)


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
    """Activation distance of the original minus the model's on the forget set."""
    return distance_gained(case, _on_forget)


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
    return share_of(case, np.mean([own == gold.predicted["forget"] for gold in case.golds], axis=0))
