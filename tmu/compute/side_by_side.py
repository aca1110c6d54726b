"""Run jobs side by side in spawned processes, and tell of their progress; what they make, they leave in files.

A process ends with its parent, also where that is killed: a watching thread waits for the parent and ends its own
process. On GPUs each process has a device to itself. A single worker needs no process: the jobs then run right here.
"""

import contextlib
import multiprocessing
import os
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from tmu.errors import StorageError, TmuError

J = TypeVar("J")
Tell = Callable[..., None]  # (job's number, ...): what a job says of itself
Work = Callable[[J, Tell], Any]  # a function of a module, so that a process can be sent it by name

_POLL = 0.2  # seconds between two looks at what the processes said
_TELL: Any = None  # in a worker: the queue to its parent,
_STOP: Any = None  # the event by which that one calls it off,
_NUMBER = 0  # and its number among the workers


def workers_for(jobs: int, threads: int, device: str) -> int:
    """How many processes to start for so many jobs: cores / threads, at least one; on GPUs one a device."""
    if device == "cuda":
        import torch

        most = torch.cuda.device_count()
    else:
        most = len(os.sched_getaffinity(0)) // threads
    return max(1, min(jobs, most))


def side_by_side(work: Work[J], jobs: Sequence[J], workers: int, said: Tell | None = None) -> list[Any]:
    """`work(job, tell)` for every job; what each returned, in the order of the jobs.

    said: is called here, in the calling thread, with what a job tells. Where a job fails, or this call is interrupted,
    no further job is begun and the others stop at the next thing that they tell; the first error is raised.
    StorageError where a process was killed.
    """
    tell = said or _silent
    if workers == 1 or not jobs:
        return [work(job, tell) for job in jobs]
    context = multiprocessing.get_context("spawn")
    told, numbers, stop = context.Queue(), context.Queue(), context.Event()
    for number in range(workers):
        numbers.put(number)
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(told, numbers, stop))
    try:
        futures = [pool.submit(_perform, work, job) for job in jobs]
        _watch(futures, told, tell)
        return [_result(future) for future in futures]
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _watch(futures: list[Future[Any]], told: Any, tell: Tell) -> None:
    """Until all are done: pass on what the processes say. Raises the first error of a job."""
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, timeout=_POLL, return_when=FIRST_EXCEPTION)
        with contextlib.suppress(queue.Empty):
            while True:
                tell(*told.get_nowait())
        for future in done:
            _result(future)


def _result(future: Future[Any]) -> Any:
    try:
        result = future.result()
    except BrokenProcessPool as error:
        raise StorageError(
            "A process that was training ended before its time.",
            "Often memory ran out. Run the same command again: what is finished is kept.",
        ) from error
    if isinstance(result, _Refused):
        raise result.kind(result.what, result.hint)
    return result


class _Refused:
    """An error of ours on its way to the parent: its class takes more than an exception's text to be made again."""

    def __init__(self, error: TmuError) -> None:
        self.kind, self.what, self.hint = type(error), error.what, error.hint


def _silent(*_: Any) -> None:
    return


class _Stopped(Exception):
    """The parent has called the work off."""


def _begin(told: Any, numbers: Any, stop: Any) -> None:
    """In a new worker: end with the parent, take a number, know where to tell."""
    global _TELL, _STOP, _NUMBER
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()  # type: ignore[union-attr]
    _TELL, _STOP = told, stop
    told.cancel_join_thread()  # what nobody reads any more must not keep the process
    _NUMBER = numbers.get()


def _perform(work: Work[J], job: J) -> Any:
    torch = sys.modules.get("torch")  # loaded with the work, where that needs it
    if torch is not None and torch.cuda.is_available():
        torch.cuda.set_device(_NUMBER % torch.cuda.device_count())
    try:
        return work(job, _tell)
    except TmuError as error:
        return _Refused(error)


def _tell(*words: Any) -> None:
    if _STOP.is_set():
        raise _Stopped
    _TELL.put(words)
