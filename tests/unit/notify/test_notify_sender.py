"""The sender: all arrives, in order, once where nothing breaks; retries, giving up, several targets and senders."""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.ledger_tools import FLOW, Travel, approved, begun, bodies, complete, put
from tests.notify_tools import SECRET, Receiver, listening, receiving
from tmu.errors import ConfigError
from tmu.ledger import deliveries, outbox
from tmu.ledger.schema import deliveries as table
from tmu.ledger.schema import outbox as kept
from tmu.ledger.store import Ledger
from tmu.notify import apprise_target, sender
from tmu.notify.sender import deliver
from tmu.notify.target import name_of
from tmu.notify.webhook import Webhook
from tmu.settings import Settings

LIFE = ["received", "awaiting_approval", "approved", "completed"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def rows(ledger: Ledger) -> list[sa.Row]:
    with ledger.read() as connection:
        return connection.execute(sa.select(table).order_by(table.c.target, table.c.seq)).all()


def lived(ledger: Ledger, *ids: str) -> None:
    for id_ in ids:
        approved(ledger, id_)
    complete(ledger, begun(ledger))


def test_all_of_it_arrives_once_and_in_order(ledger: Ledger, receiver: Receiver) -> None:
    lived(ledger, "r1", "r2")
    counts = deliver(ledger, listening(receiver.url))
    assert counts == {"delivered": 10, "failed": 0, "given_up": 0, "waiting": 0}
    for id_ in ("r1", "r2"):
        assert [event for request, event in receiver.told if request == id_] == LIFE
    assert all(got.headers["Tmu-Delivery"] == got.message["id"] for got in receiver.got)
    assert deliver(ledger, listening(receiver.url))["delivered"] == 0


def test_where_nobody_listens_messages_wait_and_one_who_comes_hears_of_the_last_days(
    ledger: Ledger, now: Travel, receiver: Receiver
) -> None:
    put(ledger, "old")
    assert deliver(ledger, Settings()) == {"delivered": 0, "failed": 0, "given_up": 0, "waiting": 0}
    now.on(days=3, seconds=1)
    put(ledger, "new")
    assert deliver(ledger, listening(receiver.url))["delivered"] == 1
    assert receiver.told == [("new", "received")]


def test_a_sender_that_was_away_for_long_still_tells_all(ledger: Ledger, now: Travel, receiver: Receiver) -> None:
    deliver(ledger, listening(receiver.url))
    put(ledger, "r1")
    now.on(days=20)
    deliver(ledger, listening(receiver.url))
    assert receiver.told == [("r1", "received")]


def test_a_failed_message_is_tried_again_and_later_ones_of_its_request_wait(
    ledger: Ledger, now: Travel, receiver: Receiver
) -> None:
    put(ledger, "r2")
    lived(ledger, "r1")
    receiver.answer = lambda message: 422 if message["request"] == "r1" else 204
    assert deliver(ledger, listening(receiver.url)) == {"delivered": 3, "failed": 1, "given_up": 0, "waiting": 4}
    receiver.answer, receiver.got = None, []
    assert deliver(ledger, listening(receiver.url))["delivered"] == 0  # not yet
    now.on(seconds=60)
    assert deliver(ledger, listening(receiver.url))["delivered"] == 4
    assert receiver.told == [("r1", event) for event in LIFE]


def test_the_same_id_comes_again_so_that_the_receiver_can_tell(ledger: Ledger, now: Travel, receiver: Receiver) -> None:
    put(ledger, "r1")
    receiver.answers = [500]
    deliver(ledger, listening(receiver.url))
    now.on(seconds=60)
    deliver(ledger, listening(receiver.url))
    first, second = receiver.got
    assert first.headers["Tmu-Delivery"] == second.headers["Tmu-Delivery"]
    assert first.body == second.body
    assert first.headers["Tmu-Signature"] != second.headers["Tmu-Signature"]  # its time is the attempt's


def test_waiting_doubles_from_half_a_minute_to_six_hours() -> None:
    for attempts in range(1, 40):
        longest = min(timedelta(hours=6), timedelta(seconds=30) * 2**attempts)
        seen = [deliveries.delay(attempts) for _ in range(50)]
        assert all(longest / 2 <= each <= longest for each in seen)
        assert len(set(seen)) > 1
    assert deliveries.delay(1) >= timedelta(seconds=30)


def test_a_target_that_is_down_is_left_alone_after_three_failures(ledger: Ledger, receiver: Receiver) -> None:
    for number in range(60):  # more than are claimed at once
        put(ledger, f"r{number}")
    receiver.answer = lambda _: 503
    assert deliver(ledger, listening(receiver.url))["waiting"] == 60
    assert len(receiver.got) == 3
    assert {(row.attempts, row.last_error) for row in rows(ledger)} == {(1, "http_503")}
    assert deliver(ledger, listening(receiver.url))["failed"] == 0  # none is due


def test_one_message_that_the_target_chokes_on_does_not_stop_the_others(ledger: Ledger, receiver: Receiver) -> None:
    for number in range(30):
        put(ledger, f"r{number}")
    receiver.answer = lambda message: 500 if message["request"] == "r3" else 204
    assert deliver(ledger, listening(receiver.url)) == {"delivered": 29, "failed": 1, "given_up": 0, "waiting": 1}


def test_after_three_days_of_failures_it_is_given_up_and_logged(
    ledger: Ledger, now: Travel, receiver: Receiver
) -> None:
    put(ledger, "r1")
    receiver.answer = lambda _: 503
    tries = 0
    while now.at < Travel().at + timedelta(days=4):
        deliver(ledger, listening(receiver.url))
        now.on(minutes=30)
        tries += 1
    (row,) = rows(ledger)
    assert timedelta(days=3) <= row.given_up_at - Travel().at <= timedelta(days=3, hours=6, minutes=30)
    assert 15 < len(receiver.got) == row.attempts < 60 < tries
    entries = [json.loads(body) for body in bodies(ledger) if "given_up" in body]
    assert [(entry["event"], entry["facts"]) for entry in entries] == [
        ("notifications_given_up", {"target": name_of(receiver.url), "messages": 1, "errors": ["http_503"]})
    ]


def test_once_an_earlier_one_is_given_up_the_next_goes_out(ledger: Ledger, now: Travel, receiver: Receiver) -> None:
    approved(ledger, "r1")
    receiver.answer = lambda message: 410 if message["event"] == "received" else 204
    counts = deliver(ledger, listening(receiver.url))
    assert counts == {"delivered": 2, "failed": 1, "given_up": 1, "waiting": 0}
    now.on(days=1)
    deliver(ledger, listening(receiver.url))
    assert [event for _, event in receiver.told] == LIFE[:3]


def test_each_target_has_its_own_fate(ledger: Ledger, receiver: Receiver) -> None:
    put(ledger, "r1")
    with receiving() as broken:
        broken.answer = lambda _: 500
        settings = listening(broken.url, receiver.url, receiver.url)
        assert deliver(ledger, settings) == {"delivered": 1, "failed": 1, "given_up": 0, "waiting": 1}
    assert len(receiver.got) == 1
    assert sorted(row.target for row in rows(ledger)) == sorted(map(name_of, (broken.url, receiver.url)))


def test_a_target_that_was_taken_out_and_comes_back_hears_what_it_missed(
    ledger: Ledger, now: Travel, receiver: Receiver
) -> None:
    deliver(ledger, listening(receiver.url))
    put(ledger, "r1")
    deliver(ledger, Settings())
    now.on(days=10)
    deliver(ledger, listening(receiver.url))
    assert receiver.told == [("r1", "received")]


def test_old_messages_are_pruned_unless_a_target_waits(ledger: Ledger, now: Travel, receiver: Receiver) -> None:
    put(ledger, "r1")
    deliver(ledger, listening(receiver.url))
    now.on(days=1)
    put(ledger, "r2")
    receiver.answers = [503]
    deliver(ledger, listening(receiver.url))
    now.on(days=31)
    receiver.answers = [204]
    deliver(ledger, listening(receiver.url))
    with ledger.read() as connection:
        assert connection.scalars(sa.select(kept.c.request_id)).all() == ["r2"]
    now.on(days=1)
    deliver(ledger, listening(receiver.url))
    put(ledger, "r3")  # its number is new, though every older row is gone
    assert deliver(ledger, listening(receiver.url))["delivered"] == 1
    assert [request for request, _ in receiver.told] == ["r1", "r2", "r2", "r3"]


def test_two_senders_at_once_send_nothing_twice(tmp_path: Path, receiver: Receiver) -> None:
    first, second = (Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") for _ in range(2))
    for number in range(120):
        put(first, f"r{number}")
    senders = [threading.Thread(target=deliver, args=(each, listening(receiver.url))) for each in (first, second)]
    for each in senders:
        each.start()
    for each in senders:
        each.join()
    assert Counter(request for request, _ in receiver.told) == {f"r{number}": 1 for number in range(120)}


def test_what_a_dead_sender_claimed_is_sent_by_the_next_and_its_late_success_counts(
    ledger: Ledger, now: Travel, receiver: Receiver
) -> None:
    put(ledger, "r1")
    with ledger.write(FLOW) as tx:
        deliveries.fan_out(tx, [name_of(receiver.url)])
        claimed, messages = deliveries.claim(tx, name_of(receiver.url))
    assert len(messages) == 1
    assert deliver(ledger, listening(receiver.url))["delivered"] == 0
    now.on(minutes=10)
    receiver.answers = [503]
    deliver(ledger, listening(receiver.url))
    with ledger.write(FLOW) as tx:  # the first was only slow: that its claim was taken over does not undo its success
        assert deliveries.failed(tx, name_of(receiver.url), claimed, {messages[0].seq: "timeout"}) == 0
        deliveries.delivered(tx, name_of(receiver.url), [messages[0].seq])
    (row,) = rows(ledger)
    assert row.delivered_at is not None
    assert (row.attempts, row.last_error) == (2, None)


def test_kill_9_of_a_sender_loses_nothing(tmp_path: Path, receiver: Receiver) -> None:
    now = Travel()
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    writing = Ledger.open(url, now=now)
    for number in range(60):
        put(writing, f"r{number}")
    writing.close()
    child = os.fork()
    if child == 0:
        send, sent = Webhook.send, []

        def deadly(*arguments: object) -> object:
            sent.append(send(*arguments))
            return os.kill(os.getpid(), signal.SIGKILL) if len(sent) == 3 else sent[-1]

        Webhook.send = deadly
        deliver(Ledger.open(url, now=now), listening(receiver.url))
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    ledger = Ledger.open(url, now=now)
    deliver(ledger, listening(receiver.url))  # what it had not claimed
    assert len(receiver.got) == 3 + 10
    now.on(minutes=10)
    assert deliver(ledger, listening(receiver.url))["delivered"] == 50
    times = Counter(request for request, _ in receiver.told)
    assert times == {f"r{number}": 2 if number < 3 else 1 for number in range(60)}
    ledger.close()


def test_messages_without_a_request_do_not_wait_for_each_other(ledger: Ledger, receiver: Receiver) -> None:
    with ledger.write(FLOW) as tx:
        outbox.announce(tx, "cut_over", version=2)
        outbox.announce(tx, "verification_failed", broken=["log"])
    receiver.answers = [400]
    assert deliver(ledger, listening(receiver.url))["delivered"] == 1


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"webhooks": ("https://example.org",)}, "no `webhook_secret`"),
        ({"webhooks": ("http://example.org",), "webhook_secret": SECRET}, "plain http"),
        ({"apprise": ("nonsense",)}, "Address 1 of `apprise`"),
    ],
)
def test_settings_of_no_use_are_refused_before_anything_is_sent(ledger: Ledger, settings: dict, what: str) -> None:
    put(ledger, "r1")
    with pytest.raises(ConfigError, match=what):
        deliver(ledger, Settings(**settings))
    assert rows(ledger) == []


def test_no_address_is_in_the_ledger(ledger: Ledger, receiver: Receiver) -> None:
    put(ledger, "r1")
    receiver.answers = [410]
    deliver(ledger, listening(receiver.url))
    with ledger.read() as connection:
        dump = "".join(connection.connection.dbapi_connection.iterdump())
    assert name_of(receiver.url) in dump
    assert receiver.url not in dump
    assert "127.0.0.1" not in dump


def test_apprise_says_it_in_a_sentence(ledger: Ledger, receiver: Receiver) -> None:
    """Over Apprise's own plain-JSON service, to a receiver that is really there."""
    put(ledger, "r1")
    settings = Settings(apprise=(receiver.url.replace("http://", "json://"),))
    assert deliver(ledger, settings)["delivered"] == 1
    assert receiver.got[0].message["message"] == "Request r1 was received."


def test_an_apprise_service_that_fails_is_tried_again(ledger: Ledger, now: Travel, receiver: Receiver) -> None:
    put(ledger, "r1")
    settings = Settings(apprise=(receiver.url.replace("http://", "json://"),))
    receiver.answers = [500]
    assert deliver(ledger, settings) == {"delivered": 0, "failed": 1, "given_up": 0, "waiting": 1}
    now.on(minutes=1)
    assert deliver(ledger, settings)["delivered"] == 1


def test_what_apprise_throws_is_a_failure_that_says_nothing(
    ledger: Ledger, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(ledger, "r1")

    def throw(*_: object, **__: object) -> None:
        raise RuntimeError("json://user:password@host")

    settings = Settings(apprise=("json://user:password@127.0.0.1:1/",))
    deliver(ledger, settings)
    monkeypatch.setattr("apprise.Apprise.notify", throw)
    ledger.now.on(minutes=1)
    assert deliver(ledger, settings)["failed"] == 1
    assert [row.last_error for row in rows(ledger)] == [apprise_target.FAILED.error]
    assert "password" not in caplog.text


def test_the_lease_is_longer_than_all_that_was_claimed_can_take() -> None:
    from tmu.notify import webhook

    assert timedelta(seconds=deliveries.MOST * webhook.SECONDS) <= deliveries.LEASE
    assert sender.STRIKES < deliveries.MOST
