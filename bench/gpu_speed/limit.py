"""A part's limit: an alarm of the clock that stops it, wherever it is."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_AGAIN = 1.0  # seconds; an alarm that falls into a callback whose errors are swallowed is repeated


class Cut(BaseException):
    """The part's time is up. No `Exception`, so that nothing inside the part takes it for an error of its own."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Inside, `Cut` is raised once so many seconds have passed. For the main thread."""

    def ring(*_: object) -> None:
        raise Cut

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3), _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
