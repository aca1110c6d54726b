"""The month in which a request must be answered (GDPR 12(3)). Pure functions: the time is an argument.

One calendar month from receipt, to the minute, in the controller's time zone; a month that has no such day ends on its
last one. The law counts to the end of that day, so this date is never too late. The clock stands still while the
requester's identity is checked. One extension by two months, with a reason, within the first month. A legal hold
does not stop the clock: the requester must be told of it in time.
"""

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from tmu.ledger.errors import ConflictError

if TYPE_CHECKING:
    from tmu.ledger.transition import Request

MONTHS, MONTHS_EXTENDED = 1, 3
LEVELS = (50, 80, 100)
"""Percent of the time at which a warning is due."""


@dataclass(frozen=True)
class Clock:
    """What a request's date follows from. All times are aware; paused_seconds: of the checks that have ended."""

    received: datetime
    paused_seconds: int = 0
    paused_since: datetime | None = None
    extended: bool = False


@dataclass(frozen=True)
class Forecast:
    """When a request will be done at the current queue. `late`: how far past its date; zero or less: in time."""

    finishes: datetime
    late: timedelta

    @property
    def misses(self) -> bool:
        """Whether it will miss its date."""
        return self.late > timedelta(0)


def clock_of(row: "Request") -> Clock:
    """The clock of a row of `requests`."""
    return Clock(row.received_at, row.paused_seconds, row.paused_since, row.extended_at is not None)


def add_months(at: datetime, months: int, zone: tzinfo = UTC) -> datetime:
    """The same wall-clock time `months` later in `zone`, or on that month's last day where there is no such day.

    Returns UTC. A time that the change to summer time leaves out is read as if there were no change.
    """
    local = _aware(at).astimezone(zone)
    years, month = divmod(local.month - 1 + months, 12)
    year, month = local.year + years, month + 1
    day = min(local.day, calendar.monthrange(year, month)[1])
    return local.replace(year=year, month=month, day=day, fold=0).astimezone(UTC)


def due(clock: Clock, now: datetime, zone: tzinfo = UTC) -> datetime:
    """The date (UTC). While identity is checked it moves on with `now`: as if the check ended now."""
    months = MONTHS_EXTENDED if clock.extended else MONTHS
    return add_months(clock.received, months, zone) + paused(clock, now)


def paused(clock: Clock, now: datetime) -> timedelta:
    """How long the clock has stood still; whole seconds, rounded down, so that no date is ever too late."""
    running = max(timedelta(0), _aware(now) - clock.paused_since) if clock.paused_since else timedelta(0)
    return timedelta(seconds=clock.paused_seconds + int(running.total_seconds()))


def resume(clock: Clock, now: datetime) -> Clock:
    """The clock after the check of identity has ended at `now`."""
    return Clock(clock.received, int(paused(clock, now).total_seconds()), None, clock.extended)


def extend(clock: Clock, now: datetime, zone: tzinfo = UTC) -> Clock:
    """The clock with two more months. Raises ConflictError for a second extension and after the first month."""
    if clock.extended:
        raise ConflictError("The request's time was already extended.", "It can be extended once.")
    if _aware(now) > due(clock, now, zone):
        raise ConflictError(
            "The first month is over.", "The requester must be told of an extension within the first month."
        )
    return Clock(clock.received, clock.paused_seconds, clock.paused_since, True)


def percent(clock: Clock, now: datetime, zone: tzinfo = UTC) -> float:
    """How much of the time is used up, 0 and up; more than 100: overdue. Pauses do not count."""
    stood = paused(clock, now)
    whole = due(clock, now, zone) - stood - clock.received
    return max(0.0, 100 * ((_aware(now) - clock.received - stood) / whole))


def level(clock: Clock, now: datetime, zone: tzinfo = UTC) -> int:
    """The highest of LEVELS that is reached, or 0."""
    used = percent(clock, now, zone)
    return max((each for each in LEVELS if used >= each), default=0)


def forecast(clock: Clock, now: datetime, seconds_ahead: float, seconds_own: float, zone: tzinfo = UTC) -> Forecast:
    """Whether the date will be met, given the work (seconds) that is done first and that of the request itself."""
    finishes = _aware(now) + timedelta(seconds=seconds_ahead + seconds_own)
    return Forecast(finishes.astimezone(UTC), finishes - due(clock, now, zone))


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a time without a time zone")
    return at
