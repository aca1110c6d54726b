"""The audit in one sentence, for the person who asked."""

from tmu.audit.by_table.membership import Membership
from tmu.audit.gate_rules import Finding
from tmu.words import counted


def conclusion(outcome: str, found: Membership, findings: dict[str, Finding]) -> str:
    """Plain words: what was forgotten, how sure that is, and what could have been seen."""
    records = counted(int(found.request["unlearned"].records[0]), "record")
    persons = counted(len(found.people_named), "person")
    who = f"the {records} of {persons}"
    if outcome == "failed":
        failed = ", ".join(name for name, each in findings.items() if each.outcome == "failed")
        return f"The model did not pass on {who}; what failed: {failed}."
    if outcome == "inconclusive" and not found.power.convicted:
        return (
            f"This audit can tell nothing on {who}: it does not find the untouched model to know them, either"
            f"{_unless(found)}."
        )
    if outcome == "inconclusive" and findings["membership"].outcome == "inconclusive":
        return f"The model is not found to know {who}, but a deletion done by half would not be found either."
    if outcome == "inconclusive":
        return f"The model seems to have forgotten {who}, but there are too few test records to say what that cost."
    if not found.power.convicted:
        return (
            f"The model answers on {who} as references that never saw them do; membership itself cannot be told here."
        )
    return (
        f"The model treats {who} as one that never saw them does, in an audit that convicts the untouched model (p "
        f"{found.power.p_value:.1g}){_unless(found)}."
    )


def _unless(found: Membership) -> str:
    smallest = found.power.smallest
    if smallest is None:
        return "; no effect could have been seen"
    return f"; a lift of {smallest:.1f} nats on every record would be seen"
