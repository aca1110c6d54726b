"""Long work told in lines, where no progress bar can be seen: one a minute while it runs, and one when it is done."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

MINUTE = 60.0
_LONG = 10.0
"""Seconds after which the end of a stage is told even if it never reported progress."""


class Stage:
    """One piece of long work. Its `report` is a progress callback: steps done, steps in all, numbers of the moment."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.reported = False
        self._began = time.monotonic()
        self._at: tuple[int, int | None, Mapping[str, float]] = (0, None, {})

    def report(self, done: int, total: int | None, numbers: Mapping[str, float] | None = None) -> None:
        """Take note of how far the work is; says nothing itself."""
        self.reported = True
        self._at = (done, total, numbers or {})

    @property
    def seconds(self) -> float:
        """Since the work began."""
        return time.monotonic() - self._began

    def under_way(self) -> str:
        """How far it is, as a line."""
        done, total, numbers = self._at
        share = f", {100 * done // total} % done" if total else ""
        return f"{self.title}: running for {_duration(self.seconds)}{share}{figures(numbers)}"

    def ended(self) -> str:
        """That it is done, as a line."""
        return f"{self.title}: done in {_duration(self.seconds)}{figures(self._at[2])}"


@contextmanager
def told(title: str, say: Callable[[str], None], every: float = MINUTE) -> Iterator[Stage]:
    """Tell of the block through `say`: how far it is, every so many seconds; and its end, if it reported or was long.

    A block that fails tells nothing: its error does.
    """
    stage, over = Stage(title), threading.Event()

    def tell_each_minute() -> None:
        while not over.wait(every):
            say(stage.under_way())

    watch = threading.Thread(target=tell_each_minute, name=f"tell of {title}", daemon=True)
    watch.start()
    try:
        yield stage
    finally:
        over.set()
        watch.join()
    if stage.reported or stage.seconds >= _LONG:
        say(stage.ended())


def figures(numbers: Mapping[str, float]) -> str:
    """Loss and accuracy of a training, as the end of a line; empty without them."""
    if not {"loss", "accuracy_pct"} <= set(numbers):
        return ""
    held = numbers.get("accuracy_holdout_pct")
    told = "" if held is None else f", hold-out {held:.1f} %"
    return f", loss {numbers['loss']:.3f}, accuracy {numbers['accuracy_pct']:.1f} %{told}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 2 * MINUTE else f"{seconds / MINUTE:.0f} min"
