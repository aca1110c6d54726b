"""The persons of a request one by one, the most detectable first, as JSON."""

from typing import Any

import numpy as np

from tmu.audit.by_table.law import LEVEL
from tmu.audit.by_table.membership import Membership
from tmu.audit.gate_rules import Finding

MOST = 100  # listed; all are counted


def people_of(found: Membership, rule: Finding) -> dict[str, Any]:
    """A person appears by the place in the list alone: an audit leads to nobody."""
    own, original = found.people["unlearned"], found.people["original"]
    order = np.argsort(np.minimum(own.member, own.low), kind="stable")[:MOST]
    return {
        "false_positive_rate": LEVEL,
        "persons": len(found.people_named),
        "passed": rule.outcome != "failed",
        "reason": rule.text,
        "found": {
            name: {"member": int((each.member <= LEVEL).sum()), "stands_out": int((each.low <= LEVEL).sum())}
            for name, each in found.people.items()
        },
        "people": [
            {
                "person": str(number),
                "records": int(own.records[place]),
                "evidence": float(own.evidence[place]),
                "original": float(original.evidence[place]),
                "p_member": float(own.member[place]),
                "p_low": float(own.low[place]),
                "p_original": float(original.member[place]),
            }
            for number, place in enumerate(order, 1)
        ],
    }
