"""Memory that is kept between the steps of a training, in place of a new mapping for each large activation.

glibc maps each block above 32 MiB (at first above 128 KiB) afresh and unmaps it when it is freed. Each step then pays
for page faults and for zeroed pages once more: a few hundredths of the time on one machine, nearly half on another. A
training that is seen to lose a tenth of its time so has its blocks from the heap, and the heap keeps what is freed. No
number depends on it. After the training, what is free goes back to the system. Elsewhere than on glibc nothing happens.
"""

import ctypes
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

_SHARE = 0.1  # of the processor's time, spent in the system, from which on it is worth it
_SECONDS = 2.0  # of the processor's time, after which it is looked at: the first steps map what later ones keep
_MANY = 64 << 20  # bytes mapped anew in that time, at least: the system has other work, too

# of malloc.h; what they are afterwards is where glibc's own rule ends up in a process that has freed large blocks
_TRIM, _MMAP_FROM, _MMAPS = -1, -3, -4
_KEPT = {_TRIM: 2**31 - 1, _MMAPS: 0}
_AFTER = {_TRIM: 64 << 20, _MMAP_FROM: 32 << 20, _MMAPS: 65536}

_lock, _keeping = Lock(), 0


@contextmanager
def kept_memory() -> Iterator[Callable[[], None]]:
    """To be called after each step. May be nested, and used by several threads."""
    keeps, before = False, _used()

    def stepped() -> None:
        nonlocal keeps, before
        if keeps:
            return
        now = _used()
        mapped, system, time = (late - early for early, late in zip(before, now, strict=True))
        if time < _SECONDS:
            return
        before, keeps = now, mapped >= _MANY and system >= _SHARE * time
        if keeps:
            _keep(1)

    try:
        yield stepped
    finally:
        if keeps:
            _keep(-1)


def _used() -> tuple[float, float, float]:
    """So far, of this process: bytes mapped, seconds in the system, seconds in all."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_minflt * resource.getpagesize(), used.ru_stime, used.ru_utime + used.ru_stime


def _keep(more: int) -> None:
    """Set the allocator for the first training that needs it, and back after the last."""
    global _keeping
    with _lock:
        was, _keeping = _keeping, _keeping + more
        libc = _glibc()
        if libc is None or bool(was) == bool(_keeping):
            return
        for option, value in (_KEPT if _keeping else _AFTER).items():
            libc.mallopt(option, value)
        if not _keeping:
            libc.malloc_trim(ctypes.c_size_t(0))


@cache
def _glibc() -> Any:
    """The C library of this process where it is glibc."""
    try:
        libc = ctypes.CDLL(None)
    except (OSError, TypeError):
        return None
    return libc if hasattr(libc, "gnu_get_libc_version") else None
