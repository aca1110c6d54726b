"""What the end of a deletion says of the versions: who serves, and who waits."""

from pathlib import Path

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


def test_the_path_of_a_certificate_can_be_used_from_any_folder() -> None:
    issued = {"certificates": [{"path": ".tmu/evidence/r1/certificate.json"}, {"why": "the search found something"}]}
    shown = [str(part) for part in shown_outcome(DONE | issued, Path("/srv/clinic"))]
    assert "Certificate: /srv/clinic/.tmu/evidence/r1/certificate.json, none: the search found something" in shown
