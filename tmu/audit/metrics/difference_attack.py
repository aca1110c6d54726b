"""Can whoever has the model before *and* the model after tell who was deleted? (`tmu/audit/difference.py`)

Forget records against test records, by what changed between the original and the row's model. The golds' rows are what
an exact retrain gives away; the aim is no more than that. 50 is a guess, far below 50 tells as much. The row of the
original is 50: nothing changed. Failure mode: an attacker who trains shadow models for each record may find more.
"""

from tmu.audit.bootstrap import Value
from tmu.audit.difference import Pair, drop_auc, learned_auc, learned_possible
from tmu.audit.metrics.registry import metric
from tmu.audit.view import Case


def _pair(case: Case, name: str) -> Pair:
    return Pair(case.untouched.outputs.logits[name], case.model.outputs.logits[name], case.model.sets.labels[name])


def _many(case: Case) -> bool:
    sizes = case.model.sets.sizes()
    return learned_possible(sizes["forget"], sizes["test"])


@metric(
    "difference_auc",
    title="difference AUC",
    unit="%",
    better="gold",
    needs_original=True,
    meaning="How well the drop of confidence from the model before to the model after tells deleted from never-seen records: 50 is a guess. It is why old versions are not handed out.",  # noqa: E501
)
def difference_auc(case: Case) -> Value:
    """AUC of the drop of logit-scaled confidence, percent."""
    return drop_auc(_pair(case, "forget"), _pair(case, "test"), case.resamples)


@metric(
    "difference_auc_staying",
    title="difference AUC, staying",
    unit="%",
    better="gold",
    needs_original=True,
    meaning="The same against records that stay: whether both models together tell who was deleted from who was not.",
)
def difference_auc_staying(case: Case) -> Value:
    """AUC of the same attack, forget against retain records, percent."""
    return drop_auc(_pair(case, "forget"), _pair(case, "retain"), case.resamples)


@metric(
    "difference_learned_auc",
    title="learned difference AUC",
    unit="%",
    better="gold",
    needs_original=True,
    defined=_many,
    meaning="The same by a classifier that learned from other deleted records what a deletion changes.",
)
def difference_learned_auc(case: Case) -> Value:
    """AUC of the cross-fitted attack, percent."""
    return learned_auc(_pair(case, "forget"), _pair(case, "test"), case.resamples, case.seed)
