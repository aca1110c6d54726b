"""Every event has its sentence."""

import pytest

from tmu.ledger import outbox
from tmu.notify.sentences import sentence

FACTS = {
    "due": "2026-04-10",
    "finishes": "2026-04-12",
    "level": 80,
    "broken": ["log"],
    "version": 4,
    "dataset": "faces",
    "versions": [{"version": 1, "weights": "0" * 64, "action": "purged"}],
}


@pytest.mark.parametrize("event", sorted(outbox.STATES | outbox.OTHERS))
@pytest.mark.parametrize("request_id", ["r1", None])
def test_every_event_has_a_sentence_of_its_own(event: str, request_id: str | None) -> None:
    text = sentence({"event": event, "request": request_id, "facts": FACTS})
    assert text.startswith("Request r1 " if request_id else "The deletion service ")
    assert text.endswith(".")
    assert text != sentence({"event": "unknown", "request": request_id, "facts": FACTS})


@pytest.mark.parametrize(("level", "words"), [(50, "used up 50 %"), (80, "used up 80 %"), (100, "is overdue")])
def test_a_warning_says_how_far_it_is(level: int, words: str) -> None:
    text = sentence({"event": "deadline_warning", "request": "r1", "facts": FACTS | {"level": level}})
    assert words in text
    assert "2026-04-10" in text
