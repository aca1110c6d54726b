"""The ledger on a real PostgreSQL: its tables and triggers, callers at once, restarts and kills of the server."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from bench.service.postgres import Postgres
from tests.ledger_tools import ALICE, BOB, FLOW, KEYS, approved, asked, begun, complete, events, put, state
from tmu.errors import StorageError
from tmu.ledger import batches, engine, executions, proof, upgrade, voiding
from tmu.ledger.errors import ChainError, ConflictError
from tmu.ledger.intake import receive_all, receive_together
from tmu.ledger.schema import audit_log, forget_entries, metadata, receipts, requests
from tmu.ledger.states import State
from tmu.ledger.store import Ledger


@pytest.fixture
def ledger(database: str) -> Iterator[Ledger]:
    made = Ledger.open(database)
    yield made
    made.close()


def count(ledger: Ledger, table: sa.Table) -> int:
    with ledger.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table))


def at_once(works: list[Callable[[], object]]) -> list[object]:
    """Run them in a thread each, all starting together; an exception is returned in its place."""
    ready = threading.Barrier(len(works))

    def one(work: Callable[[], object]) -> object:
        ready.wait(10)
        try:
            return work()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(one, works))


def test_the_migrations_make_the_tables_that_the_code_uses(ledger: Ledger) -> None:
    with ledger.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": upgrade.VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
        assert upgrade.version_of(connection) == upgrade.NEWEST


def test_several_that_open_an_empty_database_at_once_make_one_ledger(database: str) -> None:
    opened = at_once([lambda: Ledger.open(database)] * 4)
    assert {type(each) for each in opened} == {Ledger}
    put(opened[0], "r1")
    assert all(proof.verify(each).seq == 2 for each in opened)
    for each in opened:
        each.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET event = 'x'",
        "DELETE FROM audit_log WHERE seq = 2",
        "TRUNCATE audit_log",
        "INSERT INTO audit_log VALUES (9, NULL, 'x', 'x', 'x')",
        "INSERT INTO audit_log VALUES (1, NULL, 'x', 'x', 'x') ON CONFLICT (seq) DO UPDATE SET event = 'x'",
    ],
)
def test_the_database_itself_refuses_to_change_the_log(ledger: Ledger, statement: str) -> None:
    put(ledger, "r1")
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), ledger.write(ALICE) as tx:
        tx.execute(sa.text(statement))
    assert proof.verify(ledger).seq == 2


def test_verify_finds_what_was_changed_past_the_triggers(ledger: Ledger) -> None:
    put(ledger, "r1")
    head = proof.verify(ledger)
    with ledger.engine.begin() as raw:
        raw.exec_driver_sql("ALTER TABLE audit_log DISABLE TRIGGER ALL")
        raw.exec_driver_sql("UPDATE audit_log SET body = replace(body, 'alice', 'carol') WHERE seq = 2")
    with pytest.raises(ChainError, match="Entry 2"):
        proof.verify(ledger)
    with ledger.engine.begin() as raw:
        raw.exec_driver_sql("DELETE FROM audit_log WHERE seq = 2")
    with pytest.raises(ChainError, match=r"Entry 2 .*is missing"):
        proof.verify(ledger, head)


def test_intake_is_idempotent_whoever_comes_at_once(database: str) -> None:
    """Eight callers of two names send the same forty ids, whose people overlap; some in batches, some alone."""
    ledgers = [Ledger.open(database) for _ in range(8)]
    intakes = [asked(f"r{n}", f"p{n % 10}", f"p{(n + 1) % 10}") for n in range(40)]

    def send(caller: int) -> list[object]:
        actor, order = (ALICE, BOB)[caller % 2], intakes[caller * 5 :] + intakes[: caller * 5]
        if caller < 4:
            return receive_all(ledgers[caller], KEYS, order, actor)
        parts = [order[start : start + 4] for start in range(0, 40, 4)]
        return [answer for part in parts for answer in receive_all(ledgers[caller], KEYS, part, actor)]

    answers = at_once([lambda caller=caller: send(caller) for caller in range(8)])
    told = [answer for answer in answers for answer in answer]
    assert sum(getattr(answer, "new", False) for answer in told) == 40
    assert sum(isinstance(answer, ConflictError) for answer in told) == 4 * 40  # the other name's four calls
    assert count(ledgers[0], requests) == 40
    assert count(ledgers[0], forget_entries) == 10  # one a person
    assert count(ledgers[0], receipts) == 80
    assert proof.verify(ledgers[0]).seq == 80
    for each in ledgers:
        each.close()


def test_the_chain_is_read_in_one_state_while_others_write(database: str) -> None:
    writer, reader = Ledger.open(database), Ledger.open(database)

    def write() -> None:
        for first in range(0, 320, 4):
            receive_together(writer, KEYS, [(asked(f"r{first + n}", f"p{n}"), ALICE) for n in range(4)])

    seen = [0]
    with ThreadPoolExecutor(1) as thread:
        written = thread.submit(write)
        while not written.done():
            seen.append(proof.verify(reader).seq)
        written.result()
    assert seen == sorted(seen)
    assert proof.verify(reader).seq == 640
    assert all(entries % 8 == 0 for entries in seen)  # whole transactions
    assert len(set(seen)) > 2
    writer.close()
    reader.close()


def test_of_two_that_take_a_batch_at_once_one_works(database: str) -> None:
    ledgers = [Ledger.open(database) for _ in range(2)]
    approved(ledgers[0], "r1")
    taken = at_once([lambda each=each: batches.take_batch(each, "faces", FLOW) for each in ledgers])
    assert sorted(type(each).__name__ for each in taken) == ["Batch", "ConflictError"]
    (batch,) = [each for each in taken if isinstance(each, batches.Batch)]
    with pytest.raises(sa.exc.IntegrityError, match="one_open_batch"), ledgers[0].write(FLOW) as tx:
        row = {"id": "b2", "dataset": "faces", "lane": "urgent", "opened_at": tx.at, "attempts_allowed": 3}
        tx.execute(sa.insert(batches.batches), [row])
    begun_twice = at_once([lambda each=each: executions.begin(each, batch.id, FLOW) for each in ledgers])
    assert sorted(each.token for each in begun_twice) == [1, 2]
    for each in ledgers:
        each.close()


def test_a_late_finisher_is_fenced_off_and_on_record(ledger: Ledger) -> None:
    approved(ledger, "r1")
    first = begun(ledger)
    second = executions.begin(ledger, first.batch, FLOW)
    for late in (
        lambda: executions.advance(ledger, first.token, State.UNLEARNING, FLOW),
        lambda: executions.finish(ledger, first.token, "completed", FLOW),
    ):
        with pytest.raises(ConflictError, match="not in force any more"):
            late()
    complete(ledger, second)
    assert state(ledger, "r1") is State.COMPLETED
    assert {"late_advance_refused", "late_finish_refused"} <= set(events(ledger))
    assert proof.verify(ledger).seq == count(ledger, audit_log)


def test_approvals_of_many_are_voided_and_counted(ledger: Ledger) -> None:
    for number in range(3):
        approved(ledger, f"r{number}")
    with ledger.write(FLOW) as tx:
        assert voiding.void_all(tx, ["r0", "r2", "r9"]) == {"r0": 1, "r2": 1, "r9": 0}
        assert voiding.void(tx, "r0") == 0
        assert voiding.void(tx, "r1") == 1


def test_a_writer_that_waits_too_long_is_told(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SECONDS_BUSY", 1)
    one, other = Ledger.open(database), Ledger.open(database)
    with one.write(ALICE), pytest.raises(StorageError, match="did not answer"):
        put(other, "r1")
    assert put(other, "r1").new
    one.close()
    other.close()


def test_a_ledger_survives_restarts_and_a_kill_of_its_server(postgres: Postgres, database: str) -> None:
    ledger = Ledger.open(database)
    put(ledger, "r1")
    for end in (postgres.stop, postgres.kill):
        end()
        began = time.monotonic()
        with pytest.raises(StorageError, match="did not answer") as caught:
            put(ledger, "r2")
        assert time.monotonic() - began < 10
        assert "***" in caught.value.what
        postgres.start()
        assert not put(ledger, "r1").new  # the pool made its connections anew
    assert put(ledger, "r2").new
    assert proof.verify(ledger).seq == 4
    ledger.close()


def test_a_kill_of_the_server_amid_intakes_loses_nothing_acknowledged(postgres: Postgres, database: str) -> None:
    ledger, told = Ledger.open(database), []

    def send() -> None:
        for first in range(0, 4000, 4):
            part = [(asked(f"r{first + n}", f"p{first + n}"), ALICE) for n in range(4)]
            try:
                told.extend(answer.request for answer in receive_together(ledger, KEYS, part))
            except StorageError:
                return

    sender = threading.Thread(target=send)
    sender.start()
    while len(told) < 80 and sender.is_alive():
        time.sleep(0.005)
    postgres.kill()
    sender.join(30)
    postgres.start()
    assert 80 <= len(told) < 4000
    with ledger.read() as connection:
        stored = set(connection.scalars(sa.select(requests.c.id)))
    assert set(told) <= stored
    assert len(stored) - len(told) in (0, 4)  # the transaction under way: all of it or nothing
    assert proof.verify(ledger).seq == 2 * len(stored)
    ledger.close()
