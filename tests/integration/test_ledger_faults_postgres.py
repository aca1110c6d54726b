"""Faults known from other projects, tried on PostgreSQL: twenty writers at once, and two senders of one webhook."""

import threading
import time
from collections import Counter

import pytest
import sqlalchemy as sa

from tests.integration.test_ledger_postgres import at_once
from tests.ledger_tools import ALICE, approved, begun, complete, put, state
from tests.notify_tools import listening, receiving
from tmu.ledger import proof
from tmu.ledger.states import State
from tmu.ledger.store import Ledger
from tmu.notify.sender import deliver

WRITERS, EACH = 20, 5


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_twenty_writers_make_one_chain(database: str, isolation: str) -> None:
    """Whatever isolation the database's administrator set: a writer must see the entry before its own."""
    name = sa.make_url(database).database
    with sa.create_engine(database).execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(sa.text(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation TO '{isolation}'"))
    ledgers = [Ledger.open(database) for _ in range(WRITERS)]

    def write(number: int) -> None:
        for turn in range(EACH):
            with ledgers[number].write(ALICE) as tx:
                tx.log("tried", None, writer=number, turn=turn)
                tx.log("tried", None, writer=number, turn=turn)

    answers = at_once([lambda number=number: write(number) for number in range(WRITERS)])
    assert answers == [None] * WRITERS
    assert proof.verify(ledgers[0]).seq == 2 * WRITERS * EACH
    for each in ledgers:
        each.close()


def test_twenty_writers_of_one_process_share_its_connections(database: str) -> None:
    ledger = Ledger.open(database)
    answers = at_once([lambda number=number: put(ledger, f"r{number}").new for number in range(WRITERS)])
    assert answers == [True] * WRITERS
    assert proof.verify(ledger).seq == 2 * WRITERS
    ledger.close()


def test_two_senders_deliver_a_webhook_once_while_its_receiver_is_slow(database: str) -> None:
    pair = [Ledger.open(database) for _ in range(2)]
    approved(pair[0], "r1")
    complete(pair[0], begun(pair[0]))
    assert state(pair[0], "r1") is State.COMPLETED
    with receiving() as receiver:
        receiver.answer = lambda message: time.sleep(0.2) or 204
        threads = [threading.Thread(target=deliver, args=(each, listening(receiver.url))) for each in pair]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(Counter(got.headers["Tmu-Delivery"] for got in receiver.got).values()) == {1}
        assert len(receiver.got) == 6
    for each in pair:
        each.close()
