"""What the ledger states of a completed deletion, and what it refuses to state."""

import json
from datetime import datetime

import pytest

from tests.ledger_tools import ALICE, FLOW, KEYS, STAGES, Travel, approved, begun, complete, put, tampering
from tmu.files import canonical_json
from tmu.ledger import decisions, evidence, executions, proof, serving
from tmu.ledger.errors import ChainError, ConflictError
from tmu.ledger.statement import statement
from tmu.ledger.states import State
from tmu.ledger.store import Ledger

PLAN = {
    "records_digest": "d" * 64, "n_records": 3, "by_split": {"train": 3}, "by_class": {"a": 3}, "warnings": [],
    "choice": {"method": "tmu-soft"},
}  # fmt: skip


def served(ledger: Ledger, now: Travel) -> None:
    """Two requests completed in one batch, with evidence and a cut-over; and a later batch of another request."""
    approved(ledger, "r1", plan=PLAN)
    approved(ledger, "r2", plan=PLAN)
    execution = begun(ledger)
    for stage in STAGES:
        now.on(minutes=5)
        executions.advance(ledger, execution.token, stage, FLOW)
        if stage is State.PROMOTING:
            evidence.attach_all(ledger, ["r1", "r2"], "data_revision", "dvc:abc.dir", "1" * 64, FLOW)
            evidence.attach_all(ledger, ["r1", "r2"], "audit", "audit/x", "2" * 64, FLOW)
            with executions.publishing(ledger, execution.token, FLOW, "cut_over") as tx:
                facts = {"data": "abc.dir", "blocked": [1], "batch": execution.batch}
                serving.record(tx, "faces", 2, "3" * 64, **facts)
    executions.finish(ledger, execution.token, "completed", FLOW)
    approved(ledger, "r3", plan=PLAN)
    complete(ledger, begun(ledger))


def test_a_statement_tells_dates_plan_course_evidence_and_head(ledger: Ledger, now: Travel) -> None:
    served(ledger, now)
    said = statement(ledger, "r1")
    assert said["request"]["id"] == "r1"
    assert said["approval"]["by_a_second_person"]
    assert datetime.fromisoformat(said["request"]["completed"]) == datetime.fromisoformat(said["course"][-1]["at"])
    assert [step["state"] for step in said["course"]] == [
        "received", "queued", "planned", "awaiting_approval", "approved", "forgetting_data", *STAGES, "completed",
    ]  # fmt: skip
    assert (said["plan"]["method"], said["plan"]["records_digest"]) == ("tmu-soft", "d" * 64)
    assert [each["uri"] for each in said["evidence"]["data_revision"]] == ["dvc:abc.dir"]
    assert [(each["version"], each["blocked"]) for each in said["serving"]] == [(2, [1])]
    assert said["ledger"]["head"] == str(proof.verify(ledger))
    assert statement(ledger, "r3")["serving"] == []
    assert statement(ledger, "r1") == said
    text = canonical_json(said).decode()
    assert json.loads(text) == said
    for secret in (KEYS.subject("r1"), "alice", "bob", "r2"):
        assert secret not in text


def test_before_completion_there_is_none(ledger: Ledger) -> None:
    put(ledger, "r0")
    with pytest.raises(ConflictError, match="is `queued`, not completed"):
        statement(ledger, "r0")
    decisions.deny(ledger, "r0", "legal claims", ALICE)
    with pytest.raises(ConflictError, match="ended as `denied`: nothing was"):
        statement(ledger, "r0")
    approved(ledger, "r1", "ann")
    put(ledger, "r2", "ann")
    execution = begun(ledger)
    with pytest.raises(ConflictError, match="is `forgetting_data`"):
        statement(ledger, "r1")
    complete(ledger, execution)
    with pytest.raises(ConflictError, match="forgotten at another request"):
        statement(ledger, "r2")


@pytest.mark.parametrize("event", ["completed", "cut_over"])
def test_a_changed_entry_is_not_stated(ledger: Ledger, now: Travel, event: str) -> None:
    served(ledger, now)
    with tampering(ledger) as raw:
        raw.execute("UPDATE audit_log SET body = replace(body, '2026', '2025') WHERE event = ?", (event,))
    with pytest.raises(ChainError, match="was changed"):
        statement(ledger, "r1")


def test_a_changed_plan_is_not_stated(ledger: Ledger, now: Travel) -> None:
    served(ledger, now)
    with tampering(ledger) as raw:
        raw.execute("UPDATE plans SET body = replace(body, '3', '4')")
    with pytest.raises(ConflictError, match="was changed"):
        statement(ledger, "r1")
