"""One month, to the day: month ends, leap years, zones, pauses, the extension, warnings, the forecast."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tmu.ledger.clock import Clock, add_months, due, extend, forecast, level, percent, resume
from tmu.ledger.errors import ConflictError

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


START = utc(2026, 3, 10, 12)


@pytest.mark.parametrize(
    ("at", "months", "then"),
    [
        (utc(2026, 1, 15, 8), 1, utc(2026, 2, 15, 8)),
        (utc(2026, 1, 31, 8), 1, utc(2026, 2, 28, 8)),
        (utc(2028, 1, 31, 8), 1, utc(2028, 2, 29, 8)),
        (utc(2026, 8, 31, 8), 1, utc(2026, 9, 30, 8)),
        (utc(2026, 12, 31, 8), 1, utc(2027, 1, 31, 8)),
        (utc(2026, 1, 31, 8), 3, utc(2026, 4, 30, 8)),
        (utc(2026, 11, 30, 8), 3, utc(2027, 2, 28, 8)),
    ],
)
def test_a_month_is_a_calendar_month(at: datetime, months: int, then: datetime) -> None:
    assert add_months(at, months) == then


def test_the_zone_decides_which_day_it_was() -> None:
    at = utc(2026, 3, 1, 2)  # the evening of 28 February in New York
    assert add_months(at, 1, NEW_YORK) == datetime(2026, 3, 28, 21, tzinfo=NEW_YORK)
    assert add_months(at, 1) == utc(2026, 4, 1, 2)


def test_the_wall_clock_stays_over_a_change_of_summer_time() -> None:
    assert add_months(datetime(2026, 3, 10, 9, tzinfo=BERLIN), 1, BERLIN) == datetime(2026, 4, 10, 9, tzinfo=BERLIN)


def test_a_time_without_zone_is_a_fault() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        add_months(datetime(2026, 1, 1), 1)


def test_the_clock_stands_still_while_identity_is_checked() -> None:
    waiting = Clock(START, paused_since=START + timedelta(days=2))
    assert due(waiting, START + timedelta(days=9)) == utc(2026, 4, 17, 12)
    going = resume(waiting, START + timedelta(days=9))
    assert going == Clock(START, 7 * 86_400)
    assert due(going, START + timedelta(days=20)) == utc(2026, 4, 17, 12)
    assert percent(waiting, START + timedelta(days=9)) == percent(waiting, START + timedelta(days=5))


def test_parts_of_a_second_never_move_the_date_on() -> None:
    paused = Clock(START, paused_since=START)
    assert resume(paused, START + timedelta(seconds=1.9)).paused_seconds == 1


def test_a_clock_that_runs_back_pauses_nothing() -> None:
    assert due(Clock(START, paused_since=START), START - timedelta(days=1)) == utc(2026, 4, 10, 12)


def test_an_extension_is_two_months_from_receipt_on() -> None:
    extended = extend(Clock(utc(2026, 1, 31)), utc(2026, 2, 1))
    assert due(extended, START) == utc(2026, 4, 30)


def test_an_extension_comes_once_and_within_the_first_month() -> None:
    clock = Clock(START)
    assert extend(clock, utc(2026, 4, 10, 12)).extended
    with pytest.raises(ConflictError, match="first month is over"):
        extend(clock, utc(2026, 4, 10, 12, 1))
    with pytest.raises(ConflictError, match="already extended"):
        extend(extend(clock, START), START)


def test_a_pause_lengthens_the_first_month() -> None:
    assert extend(Clock(START, paused_seconds=86_400), utc(2026, 4, 11, 11)).extended


def test_warnings_rise_with_the_time_used() -> None:
    clock, month = Clock(START), timedelta(days=31)
    shares = [0, 0.499, 0.5, 0.799, 0.8, 0.999, 1, 2]
    assert [level(clock, START + share * month) for share in shares] == [0, 0, 50, 50, 80, 80, 100, 100]
    assert percent(clock, START + month / 4) == pytest.approx(25)
    assert percent(clock, START - month) == 0


def test_the_forecast_tells_who_will_miss_the_date() -> None:
    now = utc(2026, 4, 10, 11)  # an hour is left
    in_time = forecast(Clock(START), now, 3000, 600)
    assert (in_time.misses, in_time.late) == (False, timedelta(0))
    too_late = forecast(Clock(START), now, 3000, 601)
    assert (too_late.misses, too_late.late) == (True, timedelta(seconds=1))
    assert too_late.finishes == utc(2026, 4, 10, 12, 0, 1)
