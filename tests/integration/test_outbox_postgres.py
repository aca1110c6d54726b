"""Outbox, sender and watch on PostgreSQL, and a ledger there that an older program left."""

from collections import Counter
from datetime import timedelta
from threading import Thread

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.ledger_tools import FLOW, START, Travel, approved, begun, complete, events, put
from tests.notify_tools import listening, receiving
from tests.postgres_server import database, postgres
from tmu.ledger import deadlines, deliveries, engine, proof, upgrade
from tmu.ledger.schema import deliveries as table
from tmu.ledger.schema import executions, metadata, outbox
from tmu.ledger.store import Ledger
from tmu.notify.sender import deliver

__all__ = ["database", "postgres"]
LIFE = ["received", "awaiting_approval", "approved", "completed"]


def _at_version_2(url: str) -> None:
    made = engine.connect(url)
    with engine.transaction(made, writes=True) as connection:
        command.upgrade(upgrade.alembic_config(connection), "0002")
        connection.execute(sa.text("INSERT INTO batches VALUES ('b', 'faces', 'normal', now(), NULL, NULL, 3)"))
        connection.execute(sa.text("INSERT INTO executions VALUES (7, 'b', 1, '2026-03-10 09:30:00+00', NULL, NULL)"))
    made.dispose()


def test_a_ledger_of_version_2_keeps_its_rows(database: str) -> None:
    _at_version_2(database)
    ledger = Ledger.open(database)
    with ledger.read() as connection:
        (row,) = connection.execute(sa.select(executions)).all()
        assert (row.token, row.batch_id, row.started_at, row.run) == (7, "b", START, None)
        context = MigrationContext.configure(connection, opts={"version_table": upgrade.VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    ledger.close()


def test_all_arrives_in_order_is_pruned_and_numbers_go_on(database: str) -> None:
    now = Travel()
    ledger = Ledger.open(database, now=now)
    for id_ in ("r1", "r2"):
        approved(ledger, id_)
    complete(ledger, begun(ledger))
    with receiving() as receiver:
        receiver.answers = [503]
        assert deliver(ledger, listening(receiver.url)) == {"delivered": 6, "failed": 1, "given_up": 0, "waiting": 4}
        now.on(minutes=1)
        deliver(ledger, listening(receiver.url))
        for id_ in ("r1", "r2"):
            told = [event for request, event in receiver.told if request == id_]
            assert list(dict.fromkeys(told)) == LIFE
        now.on(days=31)
        deliver(ledger, listening(receiver.url))
        with ledger.read() as connection:
            assert connection.scalar(sa.select(sa.func.count()).select_from(outbox)) == 0
            assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0
        put(ledger, "r3")
        assert deliver(ledger, listening(receiver.url))["delivered"] == 1
    proof.verify(ledger)
    ledger.close()


def test_two_senders_and_two_watches_at_once_do_nothing_twice(database: str) -> None:
    now = Travel()
    pair = [Ledger.open(database, now=now) for _ in range(2)]
    for number in range(60):
        put(pair[0], f"r{number}")
    now.on(days=20)
    _both(pair, lambda ledger: deadlines.watch(ledger, FLOW, None))
    with receiving() as receiver:
        settings = listening(receiver.url)
        _both(pair, lambda ledger: deliver(ledger, settings))
        assert Counter(receiver.told) == {(f"r{number}", deadlines.WARNING): 1 for number in range(60)}
    proof.verify(pair[0])
    for ledger in pair:
        ledger.close()


def _both(pair: list[Ledger], act: object) -> None:
    threads = [Thread(target=act, args=(ledger,)) for ledger in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_what_is_given_up_is_logged(database: str) -> None:
    now = Travel()
    ledger = Ledger.open(database, now=now)
    put(ledger, "r1")
    for _ in range(2):
        with ledger.write(FLOW) as tx:
            deliveries.fan_out(tx, ["0123abcd"])
            claimed, messages = deliveries.claim(tx, "0123abcd")
            given_up = deliveries.failed(tx, "0123abcd", claimed, {message.seq: "timeout" for message in messages})
        now.on(seconds=timedelta(days=3).total_seconds())
    assert given_up == 1
    assert events(ledger)[-1] == "notifications_given_up"
    assert deliveries.summary(ledger, "0123abcd") == {"waiting": 0, "delivered": 0, "given_up": 1}
    ledger.close()
