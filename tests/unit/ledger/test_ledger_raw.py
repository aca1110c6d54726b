"""What would be stored for ever is searched for the ids that were sent with it."""

import pytest

from tests.ledger_tools import KEYS
from tmu.errors import RequestError
from tmu.files import canonical_json
from tmu.ledger.raw import Copies, IntakeBody, intake_of, refuse_raw


@pytest.mark.parametrize("text", ["about Jose\u0301 17", "ABOUT JOS\u00c9", "jos\u00e9"])
@pytest.mark.parametrize("raw", ["Jos\u00e9", "Jose\u0301"])
def test_an_id_is_found_however_it_is_spelled(text: str, raw: str) -> None:
    with pytest.raises(RequestError, match="contains an id of this call"):
        refuse_raw(text, "reason", [raw])


def test_other_names_pass() -> None:
    refuse_raw("court file 12-77", "reason", ["Jos\u00e9"])


@pytest.mark.parametrize("text", ["file of \uff2dARIA", "ma\u200bria called", "about Maria  Cruz"])
def test_width_and_unseen_characters_hide_no_id(text: str) -> None:
    with pytest.raises(RequestError, match="contains an id of this call"):
        refuse_raw(text, "reason", ["maria", "maria cruz"])


def test_a_short_id_counts_as_a_whole_word_only() -> None:
    refuse_raw("case-17", "id", ["7"])
    with pytest.raises(RequestError, match="contains an id"):
        refuse_raw("case-7", "id", ["7"])


def _found(*keys: str) -> Copies:
    return lambda subjects, records: list(keys)


def test_copies_are_named_by_the_first_call_and_change_nothing_of_what_was_asked() -> None:
    """A caller repeats a call when the copies are erased by then: it is the same request."""
    body = IntakeBody(id="case-1", subjects=["anna"], with_copies=True)
    first, later = (intake_of(body, "faces", KEYS, "api", _found(*found)) for found in (["0" * 32], []))
    assert [key for _, kind, key in first.keys() if kind == "record"] == ["0" * 32]  # noqa: SIM118
    assert first.mac(KEYS) == later.mac(KEYS)
    plain = intake_of(IntakeBody(id="case-1", subjects=["anna"]), "faces", KEYS, "api", _found("0" * 32))
    assert plain.copies == ()
    assert plain.mac(KEYS) != first.mac(KEYS)


def test_the_payload_of_a_request_without_copies_is_what_it_always_was() -> None:
    intake = intake_of(IntakeBody(id="case-1", subjects=["anna"]), "faces", KEYS, "api", _found())
    payload = {"dataset": "faces", "keys": [["subject", KEYS.subject("anna")]]}
    payload |= {"urgent": False, "identity_verified": True}
    assert intake.mac(KEYS) == KEYS.payload(canonical_json(payload))


def test_more_copies_than_a_request_may_name_are_refused() -> None:
    body = IntakeBody(id="case-1", subjects=["anna"], with_copies=True)
    with pytest.raises(RequestError, match="more than 10000 copies"):
        intake_of(body, "faces", KEYS, "api", _found(*(f"{number:032x}" for number in range(10_001))))


def test_an_id_that_cannot_be_seen_is_refused_and_not_repeated() -> None:
    with pytest.raises(RequestError, match=r"U\+200B") as caught:
        intake_of(IntakeBody(id="case-1", subjects=["an\u200bna"]), "faces", KEYS, "file", _found())
    assert "nna" not in str(caught.value)
