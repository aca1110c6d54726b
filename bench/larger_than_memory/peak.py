"""The largest memory that a process held, by what can be given back to the system and what cannot."""

import contextlib
import resource
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")
_EVERY = 0.02  # seconds


@dataclass
class Taken:
    """anonymous_mib: the most held beside mapped files; resident_mib: with them. cpu_seconds: children, too."""

    anonymous_mib: float = 0.0
    resident_mib: float = 0.0
    cpu_seconds: float = 0.0


@contextlib.contextmanager
def watched() -> Iterator[Taken]:
    """Fill in what the block takes. Memory is that of this process, looked at fifty times a second."""
    taken, done = Taken(), threading.Event()

    def look() -> None:
        while True:
            facts = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
            taken.anonymous_mib = max(taken.anonymous_mib, _mib(facts["RssAnon"]))
            taken.resident_mib = max(taken.resident_mib, _mib(facts["VmRSS"]))
            if done.wait(_EVERY):
                return

    watcher = threading.Thread(target=look, daemon=True)
    before = busy()
    watcher.start()
    try:
        yield taken
    finally:
        done.set()
        watcher.join()
        taken.cpu_seconds = busy() - before


def busy() -> float:
    """Processor seconds of this process and its children."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def _mib(text: str) -> float:
    return int(text.split()[0]) / 1024
