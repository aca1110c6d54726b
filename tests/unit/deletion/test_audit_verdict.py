"""A verdict in one word: what certificates and `--json` show of an audit, also of one stored by an earlier version."""

import pytest

from tmu.deletion.deletion import AuditVerdict


@pytest.mark.parametrize(
    ("stored", "outcome"),
    [
        ({"passed": True, "conclusive": True}, "passed"),
        ({"passed": True, "conclusive": False}, "inconclusive"),
        ({"passed": False, "conclusive": False}, "failed"),
        ({"passed": True}, "passed"),
        ({"passed": True, "conclusive": False, "outcome": "inconclusive", "other": 1}, "inconclusive"),
    ],
)
def test_the_public_verdict_is_one_word(stored: dict, outcome: str) -> None:
    public = AuditVerdict.of({"row": "tmu-soft", "reasons": ["passed: x."], **stored}).public()
    assert public == {"row": "tmu-soft", "outcome": outcome, "reasons": ["passed: x."]}
