"""The stored log: what an intruder with the database file does is named; exports are checked without it."""

import json
from pathlib import Path

import pytest

from tests.ledger_tools import ALICE, FLOW, approved, begun, complete, in_memory, put, tampering
from tmu.errors import DataError
from tmu.ledger import proof
from tmu.ledger.errors import ChainError
from tmu.ledger.log import Head
from tmu.ledger.store import Ledger


@pytest.fixture
def used(ledger: Ledger) -> Ledger:
    approved(ledger, "r1", "ann")
    put(ledger, "r2", "ann")
    complete(ledger, begun(ledger))
    return ledger


def test_a_used_ledger_is_sound(used: Ledger) -> None:
    head = proof.verify(used)
    assert head.seq > 10
    assert proof.verify(used, head) == head


@pytest.mark.parametrize(
    ("attack", "told"),
    [
        ("UPDATE audit_log SET body = replace(body, 'bob', 'eve') WHERE event = 'approved'", "Entry 5 .* was changed"),
        ("UPDATE audit_log SET hash = lower(hex(randomblob(32))) WHERE seq = 3", "Entry 3 .* was changed"),
        ("UPDATE audit_log SET request_id = 'r2' WHERE seq = 3", "Entry 3 .* relabelled"),
        ("UPDATE audit_log SET event = 'denied' WHERE seq = 3", "Entry 3 .* relabelled"),
        ("DELETE FROM audit_log WHERE seq = 3", "Entry 3 .* is missing"),
        ("DELETE FROM audit_log WHERE seq = 1", "Entry 1 .* is missing"),
        ("UPDATE audit_log SET seq = -seq WHERE seq IN (3, 4)", "Entry 1 .* is missing"),
        ("UPDATE requests SET state = 'approved' WHERE id = 'r1'", "r1 is `approved`, but the log says `completed`"),
        ("DELETE FROM audit_log WHERE seq > 4", r"Request r1 is `completed`, but the log says `awaiting_approval`"),
        ("DELETE FROM audit_log", "Request r1 is `completed`, but the log says `None`"),
        ("UPDATE requests SET id = 'r3' WHERE id = 'r2'", "Request r2 is `None`, but the log says `duplicate`"),
    ],
)
def test_each_way_to_tamper_is_named(used: Ledger, attack: str, told: str) -> None:
    with tampering(used) as raw:
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute(attack)
    with pytest.raises(ChainError, match=told):
        proof.verify(used)


def test_a_cut_end_that_no_state_betrays_is_betrayed_by_the_head(used: Ledger) -> None:
    with used.write(FLOW) as tx:
        tx.log("served", None, None, version=3)
    head = proof.verify(used)
    with tampering(used) as raw:
        raw.execute("DELETE FROM audit_log WHERE event = 'served'")
    assert proof.verify(used).seq == head.seq - 1
    with pytest.raises(ChainError, match=f"Entry {head.seq} .* once had {head.seq} entries"):
        proof.verify(used, head)


def test_an_export_is_checked_without_the_database(used: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    head = proof.export(used, file)
    assert proof.check(proof.read_export(file)) == head == proof.verify(used)
    lines = file.read_text().splitlines()
    assert len(lines) == head.seq
    file.write_text("\n".join(lines[:-1]) + "\n")
    assert proof.check(proof.read_export(file)).seq == head.seq - 1
    with pytest.raises(ChainError, match="once had"):
        proof.check(proof.read_export(file), head)
    file.write_text("\n".join([*lines[:3], *lines[4:]]))
    with pytest.raises(ChainError, match=r"Entry 4 .* is missing"):
        proof.check(proof.read_export(file))


def test_a_broken_log_is_not_exported_and_the_old_export_stays(used: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    proof.export(used, file)
    before = file.read_bytes()
    with tampering(used) as raw:
        raw.execute("DELETE FROM audit_log WHERE seq = 3")
    with pytest.raises(ChainError):
        proof.export(used, file)
    assert file.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["log.jsonl"]


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "nonsense", json.dumps({"seq": 1, "request": None, "event": "x", "body": 7, "hash": "x"}), "\xff"],
)
def test_a_file_that_is_no_export_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "log.jsonl").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match="no export"):
        proof.check(proof.read_export(tmp_path / "log.jsonl"))


def test_an_export_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no export"):
        proof.check(proof.read_export(tmp_path / "nothing.jsonl"))


def test_an_empty_ledger_has_the_empty_head() -> None:
    assert proof.verify(in_memory()) == Head()


def test_a_refusal_leaves_its_entry_and_nothing_else(ledger: Ledger) -> None:
    from tmu.ledger.errors import ConflictError
    from tmu.ledger.store import Refused

    with pytest.raises(ConflictError, match="no"), ledger.write(ALICE) as tx:
        tx.log("half_done")
        tx.flush()
        raise Refused(ConflictError("no", "never"), "attempt_refused", None, wanted="all")
    with tampering(ledger) as raw:
        assert raw.execute("SELECT event FROM audit_log").fetchall() == [("attempt_refused",)]
    assert proof.verify(ledger).seq == 1
