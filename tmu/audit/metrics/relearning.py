"""How fast the model learns the forget set again, beside the golds (`tmu/audit/probes/relearn.py`).

AIN = relearn(model) / mean relearn(golds it faces), 1 is a retrain's; fewer steps mean that traces were left, more that
the records were driven out. No records are resampled: the interval spans the golds one by one. A run that was stopped
at its last step counts with that many ("at least"); where a gold needs no step at all, there is no AIN.
"""

import numpy as np

from tmu.audit.bootstrap import Value, average
from tmu.audit.metrics.registry import metric
from tmu.audit.view import Case, View


@metric(
    "relearn_steps",
    title="relearn time",
    unit="steps",
    better="gold",
    needs_probes=True,
    meaning="Training steps until the forgotten records are known as well as to the original; fewer than a retrained model needs means traces. Stops at audit.relearn_steps.",  # noqa: E501
)
def relearn_steps(case: Case) -> Value:
    """Optimiser steps; one run, so the interval is the number itself."""
    steps = float(case.model.inside.relearned.steps)
    return Value(steps, steps, steps)


def _can_be_compared(case: Case) -> bool:
    return all(gold.inside.relearned.steps > 0 for gold in case.golds)


@metric(
    "ain",
    title="AIN",
    unit="ratio",
    better="gold",
    needs_gold=True,
    needs_probes=True,
    defined=_can_be_compared,
    meaning="Relearn time over a retrained model's: 1 is a retrain's, below means traces, above that the records were driven out.",  # noqa: E501
)
def ain(case: Case) -> Value:
    """Ratio of steps, averaged over the sets of golds that the row faces."""
    return average([_ratio(case.model, golds) for golds in case.faced])


def _ratio(model: View, golds: tuple[View, ...]) -> Value:
    own, theirs = model.inside.relearned.steps, [gold.inside.relearned.steps for gold in golds]
    return Value(own / float(np.mean(theirs)), own / max(theirs), own / min(theirs))
