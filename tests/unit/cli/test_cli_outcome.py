"""What the end of a deletion says of the versions: who serves, and who waits."""

import pytest

from flows.audit_flow import WAITS
from tmu.cli.outcome import shown_outcome

DONE = {"request": "r1", "versions": {"original": 1, "tmu-soft": 2}, "champion": 2}
UNSURE = {"row": "tmu-soft", "outcome": "inconclusive", "reasons": []}


@pytest.mark.parametrize(
    ("waits", "said"),
    [
        (False, "original: 1, tmu-soft: 2, in service: 2 (tmu-soft)"),
        (True, "original: 1, tmu-soft: 2, waits for the next request, until then the model before it is in service: 2"),
    ],
)
def test_a_version_that_waits_is_not_said_to_be_in_service(waits: bool, said: str) -> None:
    shown = [str(part) for part in shown_outcome(DONE | {"waits": waits, "verdict": UNSURE, "why": [WAITS] * waits})]
    assert any(part.startswith(f"Versions: {said}") for part in shown)
    assert any("Until then the model stays in service that learned the records." in part for part in shown) is waits
