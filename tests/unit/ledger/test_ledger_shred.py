"""Keys of served requests give way to commitments; the log's chain, the statement and other requests stay whole."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.ledger_tools import BOB, FLOW, KEYS, PLAN, approved, begun, bodies, complete, put, state
from tmu.ledger import decisions, holds, proof, views
from tmu.ledger.errors import ChainError, ConflictError
from tmu.ledger.schema import forget_entries, request_keys, requests
from tmu.ledger.schema import plans as plans_table
from tmu.ledger.shred import SHREDDED, known_keys, leads, rewritten, shred, shred_hold, to_rewrite
from tmu.ledger.statement import statement
from tmu.ledger.store import Ledger

ANNA = KEYS.subject("anna")
DIGESTS = {**PLAN, "id": "0" * 16, "records_digest": "d" * 64, "n_records": 3}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(file: Path) -> Iterator[Ledger]:
    made = Ledger.open(f"sqlite:///{file}")
    yield made
    made.close()


def served(ledger: Ledger) -> None:
    """A request of Anna's that was completed."""
    approved(ledger, "r1", "anna", plan=DIGESTS)
    complete(ledger, begun(ledger))


def shredded(ledger: Ledger, request: str = "r1", keys: set[str] | None = None) -> int:
    with ledger.write(FLOW) as tx:
        return shred(tx, request, keys)


def test_no_key_is_left_in_the_tables_and_the_log_is_whole(ledger: Ledger) -> None:
    served(ledger)
    with ledger.read() as connection:
        assert leads(connection, ["r1"], [ANNA]).served == ("r1",)
        assert ANNA in known_keys(connection)
    assert shredded(ledger) == 1
    with ledger.read() as connection:
        assert leads(connection, ["r1"], [ANNA]).served == ()
        assert ANNA not in known_keys(connection)
    proof.verify(ledger)
    assert views.show(ledger, "r1")["state"] == "completed"


def test_again_changes_nothing(ledger: Ledger) -> None:
    served(ledger)
    shredded(ledger)
    with ledger.read() as connection:
        before = connection.execute(sa.select(request_keys)).all(), connection.execute(sa.select(requests)).all()
    assert shredded(ledger) == 0
    assert shredded(ledger, keys={ANNA}) == 0
    with ledger.read() as connection:
        assert before == (
            connection.execute(sa.select(request_keys)).all(),
            connection.execute(sa.select(requests)).all(),
        )


def test_a_plan_keeps_its_numbers_and_loses_its_digests_of_keys(ledger: Ledger) -> None:
    served(ledger)
    before = statement(ledger, "r1")["plan"]
    shredded(ledger)
    after = statement(ledger, "r1")["plan"]
    assert (after["n_records"], after["hash"]) == (3, before["hash"])
    assert after["records_digest"] != before["records_digest"] and len(after["records_digest"]) == 64
    with ledger.read() as connection:
        body = json.loads(connection.scalar(sa.select(plans_table.c.body)))
    assert not {"salt", "id"} & set(body)


def test_a_redacted_plan_that_the_log_does_not_tell_of_is_refused(ledger: Ledger) -> None:
    served(ledger)
    shredded(ledger)
    forged = '{"n_records":1}'
    digest = hashlib.sha256(forged.encode()).hexdigest()
    with ledger.write(FLOW) as tx:
        tx.execute(sa.update(plans_table).values(body=forged, redacted=digest))
    with pytest.raises(ChainError, match="redacted"):
        statement(ledger, "r1")


def test_the_same_id_again_is_refused_and_a_new_one_gets_a_receipt(ledger: Ledger) -> None:
    served(ledger)
    shredded(ledger)
    with pytest.raises(ConflictError, match="destroyed"):
        put(ledger, "r1", "anna")
    assert put(ledger, "r2", "anna").new


def test_two_requests_of_one_person_get_commitments_that_differ(ledger: Ledger) -> None:
    served(ledger)
    put(ledger, "r2", "anna")
    decisions.deny(ledger, "r2", "no identity", BOB)
    with ledger.read() as connection:
        assert leads(connection, ["r1"], [ANNA]).named == ("r2",)
    shredded(ledger)
    shredded(ledger, "r2", {ANNA})
    with ledger.read() as connection:
        keys = connection.scalars(sa.select(request_keys.c.key)).all()
    assert len(keys) == len(set(keys)) == 2


def test_other_open_requests_and_holds_in_force_keep_their_keys(ledger: Ledger) -> None:
    served(ledger)
    put(ledger, "r2", "anna", "bert")
    hold, *_ = holds.hold(ledger, holds.Scope("subject", subject=ANNA), "court file 1", BOB)
    shredded(ledger)
    with ledger.write(FLOW) as tx:
        shred_hold(tx, hold)
    with ledger.read() as connection:
        found = leads(connection, ["r1"], [ANNA])
        assert (found.open_requests, found.holds) == (("r2",), (hold,))
    assert holds.release(ledger, hold, "closed", BOB) == ["r2"]
    with ledger.write(FLOW) as tx:
        shred_hold(tx, hold)
    with ledger.read() as connection:
        assert leads(connection, ["r1"], [ANNA]).released == ()


def test_a_request_that_waits_for_nothing_else_goes_with_it_and_ends_as_a_duplicate(ledger: Ledger) -> None:
    approved(ledger, "r1", "anna", plan=DIGESTS)
    put(ledger, "r2", "anna")
    put(ledger, "r3", "anna", "bert")
    execution = begun(ledger)
    with ledger.read() as connection:
        found = leads(connection, ["r1"], [ANNA])
    assert (found.served, found.open_requests) == (("r1", "r2"), ("r3",))
    for each in found.served:
        shredded(ledger, each)
    complete(ledger, execution)
    assert (state(ledger, "r1"), state(ledger, "r2"), state(ledger, "r3")) == ("completed", "duplicate", "queued")
    proof.verify(ledger)


def test_an_entry_that_a_restored_backup_opened_again_goes_once_nobody_else_waits_for_it(ledger: Ledger) -> None:
    """The ledger is from before the request was served; another request of the person still needs the key."""
    approved(ledger, "r1", "anna", plan=DIGESTS)
    put(ledger, "r2", "anna")
    put(ledger, "r3", "berta")
    assert shredded(ledger) == 1
    with ledger.read() as connection:
        assert ANNA in known_keys(connection)  # r2 waits for it
    assert shredded(ledger, "r2") == 1
    with ledger.read() as connection:
        known = known_keys(connection)
        states = dict(connection.execute(sa.select(forget_entries.c.key, forget_entries.c.state)).tuples().all())
    assert ANNA not in known and KEYS.subject("berta") in known
    assert sorted(states.values()) == ["forgotten", "open"] and states[KEYS.subject("berta")] == "open"
    proof.verify(ledger)


def test_the_log_says_how_many_and_names_nobody(ledger: Ledger) -> None:
    served(ledger)
    shredded(ledger)
    assert any(f'"event":"{SHREDDED}"' in body for body in bodies(ledger))
    assert not any(ANNA in body for body in bodies(ledger))


def test_the_old_bytes_are_in_the_file_until_it_is_rewritten(ledger: Ledger, file: Path) -> None:
    served(ledger)

    def raw() -> bytes:
        return b"".join(path.read_bytes() for path in sorted(file.parent.glob("ledger.db*")))

    shredded(ledger)
    assert ANNA.encode() in raw()
    with ledger.read() as connection:
        assert to_rewrite(connection) == ["r1"]
    ledger.rewrite()
    assert ANNA.encode() not in raw()
    with ledger.write(FLOW) as tx:
        rewritten(tx, ["r1"])
    with ledger.read() as connection:
        assert to_rewrite(connection) == []
    proof.verify(ledger)
