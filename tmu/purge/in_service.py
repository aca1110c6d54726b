"""A model in service that learned erased records: it is never destroyed, and no purge that leaves it is complete."""

from collections.abc import Iterable

from tmu.purge.trace import Action, Trace

WHY = "It is in service."
"""`Trace.why` of such a model. It stays under no rule, and until no date."""

WHY_ELSEWHERE = (
    "It is in service for another data set, whose revision cannot be read here: nobody can tell whom it learned."
)
"""`Trace.why` of a model of another data set in the same MLflow: it is said, and the purge can be verified."""


def in_service(traces: Iterable[Trace]) -> list[Trace]:
    """Those of the traces that stay only because they are in service: the purge cannot be verified with them."""
    return [trace for trace in traces if trace.action is Action.KEEP and trace.why == WHY]
