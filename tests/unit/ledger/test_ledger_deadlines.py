"""The watch, with time that travels: every warning once, whatever happens to the request meanwhile."""

from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from tests.ledger_tools import (
    ALICE,
    BOB,
    FLOW,
    KEYS,
    START,
    Travel,
    approved,
    begun,
    complete,
    events,
    in_memory,
    put,
)
from tmu.ledger import decisions, executions, holds, proof, views
from tmu.ledger.deadlines import MISS, WARNING, pace, watch
from tmu.ledger.schema import outbox
from tmu.ledger.store import Ledger

DAY = 86_400


def levels(told: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(each["request"], each["level"]) for each in told if each["event"] == WARNING]


def announced(ledger: Ledger, event: str) -> list[str]:
    with ledger.read() as connection:
        return list(connection.scalars(sa.select(outbox.c.request_id).where(outbox.c.event == event)))


def every(ledger: Ledger, now: Travel, days: float, step: timedelta, seconds_each: float | None = None) -> list[Any]:
    """What a watch at every `step` tells, with the days since START at which it did."""
    told, end = [], now.at + timedelta(days=days)
    while now.at <= end:
        told += [((now.at - START) / timedelta(days=1), each) for each in watch(ledger, FLOW, seconds_each)]
        now.on(seconds=step.total_seconds())
    return told


def test_an_hourly_watch_warns_at_each_level_once_as_soon_as_it_is_reached(ledger: Ledger, now: Travel) -> None:
    put(ledger, "r1")  # 31 days: March has them
    told = every(ledger, now, 60, timedelta(hours=1))
    assert [(round(at, 1), each["level"]) for at, each in told] == [(15.5, 50), (24.8, 80), (31.0, 100)]
    assert announced(ledger, WARNING) == ["r1"] * 3
    assert events(ledger, "r1").count(WARNING) == 3
    assert all(each["due"] == "2026-04-10T09:30:00+00:00" for _, each in told)
    proof.verify(ledger)


def test_a_watch_that_slept_tells_each_level_that_it_missed(ledger: Ledger, now: Travel) -> None:
    put(ledger, "r1")
    now.on(days=40)
    assert levels(watch(ledger, FLOW, None)) == [("r1", 50), ("r1", 80), ("r1", 100)]
    assert watch(ledger, FLOW, None) == []


def test_a_young_request_and_one_that_has_ended_are_left_alone(ledger: Ledger, now: Travel) -> None:
    put(ledger, "gone")
    now.on(days=20)
    decisions.deny(ledger, "gone", "not ours", BOB)
    put(ledger, "young")
    assert watch(ledger, FLOW, None) == []


def test_a_request_that_ends_while_the_watch_looks_is_not_warned_of(
    ledger: Ledger, now: Travel, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(ledger, "r1")
    now.on(days=20)
    look = views.board

    def slow(*arguments: Any) -> Any:
        found = look(*arguments)
        decisions.deny(ledger, "r1", "not ours", BOB)
        return found

    monkeypatch.setattr(views, "board", slow)
    assert watch(ledger, FLOW, None) == []


def test_a_held_and_a_failed_request_are_warned_of(ledger: Ledger, now: Travel) -> None:
    approved(ledger, "failed")
    executions.finish(ledger, begun(ledger).token, "failed", FLOW)
    put(ledger, "held")
    holds.hold(ledger, holds.Scope("subject", subject=KEYS.subject("held")), "court file", ALICE)
    now.on(days=20)
    assert sorted(levels(watch(ledger, FLOW, None))) == [("failed", 50), ("held", 50)]


def test_while_identity_is_checked_nothing_is_told(ledger: Ledger, now: Travel) -> None:
    put(ledger, "r1", identity_verified=False)
    now.on(days=50)
    assert watch(ledger, FLOW, None) == []
    decisions.verify_identity(ledger, "r1", ALICE)
    now.on(days=16)
    assert levels(watch(ledger, FLOW, None)) == [("r1", 50)]


def test_an_extension_starts_a_new_count(ledger: Ledger, now: Travel) -> None:
    put(ledger, "r1")
    now.on(days=26)
    assert levels(watch(ledger, FLOW, None)) == [("r1", 50), ("r1", 80)]
    decisions.extend(ledger, "r1", "many records", BOB)
    assert watch(ledger, FLOW, None) == []
    now.on(days=21)
    assert levels(watch(ledger, FLOW, None)) == [("r1", 50)]
    assert watch(ledger, FLOW, None) == []


def test_a_forecast_of_missing_the_date_is_told_once_a_day_until_it_is_missed(ledger: Ledger, now: Travel) -> None:
    for name in ("r1", "r2"):
        put(ledger, name)
    told = every(ledger, now, 33, timedelta(hours=2), seconds_each=2.5 * DAY)
    misses = {
        name: [at for at, each in told if each["event"] == MISS and each["request"] == name] for name in ["r1", "r2"]
    }
    # r2 is served after r1: from day 26 on it ends after day 31; the days of the log begin at midnight, 14.5 h later
    assert [round(at, 2) for at in misses["r2"]] == [26.08, 26.67, 27.67, 28.67, 29.67, 30.67]
    assert [round(at, 2) for at in misses["r1"]] == [28.58, 28.67, 29.67, 30.67]
    assert len(announced(ledger, MISS)) == 10
    (first, *_) = [each for _, each in told if each["event"] == MISS]
    assert first["finishes"] > first["due"]


def test_the_day_is_that_of_the_ledger_s_zone(now: Travel) -> None:
    ledger = in_memory(now)
    ledger.zone = ZoneInfo("Pacific/Auckland")  # 13 hours ahead: its day begins at 11:00 UTC
    put(ledger, "r1")
    assert [each["day"] for each in watch(ledger, FLOW, 40 * DAY)] == ["2026-03-10"]
    now.on(hours=1)
    assert watch(ledger, FLOW, 40 * DAY) == []
    now.on(hours=1)
    assert [each["day"] for each in watch(ledger, FLOW, 40 * DAY)] == ["2026-03-11"]
    ledger.close()


def test_without_a_pace_nothing_is_foreseen(ledger: Ledger, now: Travel) -> None:
    put(ledger, "r1")
    assert watch(ledger, FLOW, None) == []
    assert [each["event"] for each in watch(ledger, FLOW, 40 * DAY)] == [MISS]


def test_two_watches_at_once_tell_it_once(tmp_path: Path, now: Travel) -> None:
    first, second = (Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", now=now) for _ in range(2))
    for number in range(50):
        put(first, f"r{number}")
    now.on(days=20)
    told: list[Any] = []
    threads = [Thread(target=lambda each=each: told.extend(watch(each, FLOW, None))) for each in (first, second)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(levels(told)) == sorted((f"r{number}", 50) for number in range(50))


def test_the_pace_is_what_a_request_took_in_undisturbed_batches(ledger: Ledger, now: Travel) -> None:
    assert pace(ledger) is None
    for batch, (size, hours) in enumerate([(1, 1), (4, 2), (2, 6)]):
        for number in range(size):
            approved(ledger, f"b{batch}-{number}")
        execution = begun(ledger)
        now.on(hours=hours)
        complete(ledger, execution)
    assert pace(ledger) == 3600  # of 3600, 1800 and 10800
    approved(ledger, "tried-twice")
    execution = begun(ledger)
    executions.finish(ledger, execution.token, "interrupted", FLOW)
    now.on(days=3)
    complete(ledger, executions.begin(ledger, execution.batch, FLOW))
    assert pace(ledger) == 3600


def test_a_watch_over_many_reads_the_log_by_request(ledger: Ledger, now: Travel) -> None:
    for number in range(450):  # more than fit into one statement
        put(ledger, f"r{number}")
    now.on(days=20)
    assert len(watch(ledger, FLOW, None)) == 450
    assert watch(ledger, FLOW, None) == []
