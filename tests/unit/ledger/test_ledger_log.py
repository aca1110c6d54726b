"""The chain by itself: each way to tamper with it is named at the first entry that shows it."""

import hashlib
import json
from dataclasses import replace

import pytest

from tests.ledger_tools import ALICE, START
from tmu.errors import ConfigError
from tmu.ledger.log import GENESIS, Broken, Head, Link, first_broken, make_link


def chain(length: int, facts: dict | None = None) -> list[Link]:
    links, head = [], Head()
    for number in range(length):
        links.append(make_link(head, START, ALICE, "received", f"r{number}", None, facts or {}))
        head = Head(links[-1].seq, links[-1].hash)
    return links


def head_of(links: list[Link]) -> Head:
    return Head(links[-1].seq, links[-1].hash)


def test_a_sound_chain_gives_its_head() -> None:
    links = chain(4)
    assert first_broken(links) == (head_of(links), None)
    assert first_broken(links, head_of(links)) == (head_of(links), None)
    assert first_broken(links, head_of(links[:2])) == (head_of(links), None)
    assert first_broken([]) == (Head(0, GENESIS), None)


def test_an_entry_says_who_when_what_and_why_in_canonical_json() -> None:
    link = make_link(Head(), START, ALICE, "denied", "r", "ärger", {"to": "denied"})
    assert json.loads(link.body) == {
        "actor": "alice",
        "at": "2026-03-10T09:30:00.000000+00:00",
        "event": "denied",
        "facts": {"to": "denied"},
        "method": "token",
        "previous": GENESIS,
        "reason": "ärger",
        "request": "r",
        "seq": 1,
    }
    assert list(json.loads(link.body)) == sorted(json.loads(link.body))
    assert link.hash == hashlib.sha256(link.body.encode()).hexdigest()


def _broken(links: list[Link], *anchors: Head) -> Broken:
    _, broken = first_broken(links, *anchors)
    assert broken is not None
    return broken


def test_a_changed_entry_is_named() -> None:
    links = chain(4)
    links[1] = replace(links[1], body=links[1].body.replace("alice", "malik"))
    assert _broken(links) == Broken(2, "was changed: its bytes do not give its hash")


def test_a_change_with_a_new_hash_shows_at_the_next_entry() -> None:
    links = chain(4)
    body = links[1].body.replace("alice", "malik")
    links[1] = replace(links[1], body=body, hash=hashlib.sha256(body.encode()).hexdigest())
    assert _broken(links).seq == 3
    assert "does not follow entry 2" in _broken(links).why


@pytest.mark.parametrize("change", [{"request": "other"}, {"request": None}, {"event": "approved"}])
def test_the_columns_beside_the_body_count_too(change: dict) -> None:
    links = chain(3)
    links[2] = replace(links[2], **change)
    assert _broken(links) == Broken(3, "was moved or relabelled: it says something else of itself")


def test_a_missing_and_an_exchanged_entry_are_named() -> None:
    links = chain(4)
    assert _broken([links[0], *links[2:]]) == Broken(2, "is missing: entry 3 comes next")
    assert _broken(links[1:]).seq == 1
    swapped = [links[0], replace(links[2], seq=2), replace(links[1], seq=3), links[3]]
    assert _broken(swapped).seq == 2


def test_a_cut_end_needs_an_anchor() -> None:
    links = chain(4)
    assert first_broken(links[:3])[1] is None
    assert _broken(links[:3], head_of(links)) == Broken(4, "is missing: the log once had 4 entries")
    assert _broken([], head_of(links)).seq == 1


def test_a_log_written_anew_needs_an_anchor() -> None:
    true, forged = chain(4), chain(4, {"forged": True})
    assert first_broken(forged)[1] is None
    assert _broken(forged, head_of(true)).seq == 4


def test_an_entry_that_is_no_entry_is_named() -> None:
    body = "[]"
    link = Link(1, None, "x", body, hashlib.sha256(body.encode()).hexdigest())
    assert _broken([link]) == Broken(1, "was forged: it is not an entry")


@pytest.mark.parametrize("text", ["", "4", "4:", "x:" + GENESIS, "04:" + GENESIS, "4:" + GENESIS[1:], "-1:" + GENESIS])
def test_a_head_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="SEQ:HASH"):
        Head.parse(text)


def test_a_head_is_read_as_it_was_written() -> None:
    assert Head.parse(str(Head(12, "ab" * 32))) == Head(12, "ab" * 32)


def test_all_heads_count_not_the_newest_alone() -> None:
    """Whoever computes a log anew gets sound heads from then on; the older ones tell."""
    true, forged = chain(3), chain(4, {"forged": True})
    assert first_broken(forged, head_of(forged))[1] is None
    for anchors in ([head_of(true), head_of(forged)], [head_of(forged), head_of(true)]):
        assert _broken(forged, *anchors) == Broken(3, "is not the one whose hash was noted: the log was rewritten")
    assert _broken(forged[:3], head_of(forged[:2]), head_of(forged)).seq == 4
