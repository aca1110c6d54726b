"""The rule on membership, at the numbers between its outcomes."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tmu.audit.by_table.power import Power
from tmu.audit.by_table.rules import membership
from tmu.config import AuditConfig


def _found(p_member: float, left: float, share: float) -> Any:
    """A request of 84 records whose original is convicted; `share` of its evidence would just be seen."""
    own = SimpleNamespace(
        evidence=np.array([2.3]), member=np.array([p_member]), low=np.array([0.9]), records=np.array([84])
    )
    original = SimpleNamespace(evidence=np.array([2.8]))
    power = Power(convicted=True, p_value=0.007, smallest=0.8, original=0.9, share=share)
    return SimpleNamespace(request={"unlearned": own, "original": original}, left=left, power=power)


@pytest.mark.parametrize(
    ("p_member", "left", "share", "outcome"),
    [
        (0.011, 0.82, 1.12, "inconclusive"),  # hardly less than the original's: no proof of anything
        (0.011, 0.82, 0.4, "passed"),  # half of it would have been seen
        (0.2, 0.1, 1.12, "passed"),  # little is left
        (0.009, 0.82, 1.12, "failed"),
        (0.009, 0.1, 0.4, "passed"),  # significant, but small
    ],
)
def test_evidence_that_is_left_proves_nothing_where_half_a_deletion_is_not_seen(p_member, left, share, outcome):
    assert membership(_found(p_member, left, share), AuditConfig()).outcome == outcome
