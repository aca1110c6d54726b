"""What an attempt may publish, whose it is, and who serves: the newest token alone, and all of it on record."""

import pytest

from tests.ledger_tools import FLOW, approved, begun, complete, events
from tmu.ledger import evidence, executions, serving, views
from tmu.ledger.batches import open_batch, take_batch
from tmu.ledger.errors import ConflictError
from tmu.ledger.store import Ledger

DIGEST = "a" * 64


def test_only_the_newest_attempt_publishes(ledger: Ledger) -> None:
    approved(ledger, "r1")
    first = begun(ledger)
    with executions.publishing(ledger, first.token, FLOW, "cut_over") as tx:
        serving.record(tx, "faces", 3, DIGEST)
    second = executions.begin(ledger, first.batch, FLOW)
    published = []
    with (
        pytest.raises(ConflictError, match=f"Token {first.token} is not in force"),
        executions.publishing(ledger, first.token, FLOW, "cut_over") as tx,
    ):
        published.append("late")
    assert published == []
    assert events(ledger)[-1] == "late_publish_refused"
    with executions.publishing(ledger, second.token, FLOW, "cut_over") as tx:
        serving.record(tx, "faces", 4, DIGEST)
    with ledger.read() as connection:
        assert serving.serving(connection, "faces")["version"] == 4


def test_a_finished_attempt_publishes_nothing(ledger: Ledger) -> None:
    approved(ledger, "r1")
    execution = begun(ledger)
    complete(ledger, execution)
    with pytest.raises(ConflictError), executions.publishing(ledger, execution.token, FLOW, "cut_over"):
        pytest.fail("the block ran")


def test_what_raises_while_publishing_leaves_no_entry(ledger: Ledger) -> None:
    approved(ledger, "r1")
    execution = begun(ledger)
    before = events(ledger)
    with pytest.raises(OSError), executions.publishing(ledger, execution.token, FLOW, "cut_over") as tx:
        serving.record(tx, "faces", 3, DIGEST)
        raise OSError
    assert events(ledger) == before


def test_a_cut_over_is_on_record_once(ledger: Ledger) -> None:
    for version, dataset in ((1, "faces"), (1, "faces"), (7, "hands"), (2, "faces"), (1, "faces")):
        with ledger.write(FLOW) as tx:
            serving.record(tx, dataset, version, DIGEST, blocked=[])
    assert events(ledger) == ["cut_over"] * 4  # the repeated one adds nothing
    with ledger.read() as connection:
        assert serving.serving(connection, "faces")["version"] == 1
        assert serving.serving(connection, "hands")["version"] == 7
        assert serving.serving(connection, "voices") is None


def test_the_last_attempt_says_whose_it_is_and_how_many_may_follow(ledger: Ledger) -> None:
    approved(ledger, "r1")
    batch = take_batch(ledger, "faces", FLOW)
    with ledger.read() as connection:
        assert executions.last_attempt(connection, batch.id) is None
    executions.begin(ledger, batch.id, FLOW, run="run-1")
    token = executions.begin(ledger, batch.id, FLOW, run="run-2").token
    with ledger.read() as connection:
        assert executions.last_attempt(connection, batch.id) == executions.Attempt(token, "run-2", None, 1)
        assert open_batch(connection, "faces") == batch.id


def test_evidence_for_a_whole_batch_is_attached_once(ledger: Ledger) -> None:
    for name in ("r1", "r2"):
        approved(ledger, name)
    for _ in range(2):
        evidence.attach_all(ledger, ["r1", "r2"], "model", "model/abc", DIGEST, FLOW)
    for name in ("r1", "r2"):
        assert [row["kind"] for row in views.show(ledger, name)["evidence"]] == ["model"]
