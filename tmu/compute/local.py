"""Processes of this machine: as many as its cores or devices carry, and none outlives its parent.

A worker that dies takes its own item with it alone; the item is begun again in a new one. On GPUs each process sees
one device.
"""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from tmu.compute.crew import Ended, Resources, Sent, Tell, Work, silent
from tmu.compute.here import Here
from tmu.compute.outcome import Told
from tmu.compute.process import Process
from tmu.errors import ConfigError

_GRACE = 10.0  # seconds in which a worker that is called off may end by itself


@dataclass(frozen=True)
class Local:
    """workers: most processes; None: as many as there are cores or devices. apart: a single worker gets a process,
    too; else its items are done right here.
    """

    workers: int | None = None
    apart: bool = False

    def places(self, most: int, resources: Resources) -> int:
        """Cores / threads, at least one; on GPUs devices / gpus."""
        if resources.gpus:
            carried = len(devices()) * int(1 / resources.gpus + 1e-9)
            if not carried:
                raise ConfigError("There is no GPU on this machine.", "Set `device` to `cpu`, or to `auto`.")
        else:
            carried = max(1, len(os.sched_getaffinity(0)) // resources.threads)
        return max(1, min(most, carried, self.workers or carried))

    @contextmanager
    def crew(self, work: Work, resources: Resources, most: int, said: Tell | None = None) -> Iterator[Any]:
        """Processes that are started when there is an item for them."""
        places = self.places(most, resources)
        if places == 1 and not self.apart:
            with Here().crew(work, resources, most, said) as here:
                yield here
            return
        crew = LocalCrew(work, resources, places, said or silent)
        try:
            yield crew
        finally:
            crew.close()


def devices() -> list[str]:
    """The names of this machine's GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them."""
    import torch

    count, named = torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return named.split(",")[:count] if named else [str(number) for number in range(count)]


class LocalCrew:
    """places: processes at once."""

    def __init__(self, work: Work, resources: Resources, places: int, said: Tell) -> None:
        self._work, self._resources, self.places, self._said = work, resources, places, said
        self._waiting: deque[Sent] = deque()
        self._busy: dict[Process, Sent] = {}
        self._idle: list[Process] = []
        self._tickets = 0
        self._devices = devices() if resources.gpus else []

    def submit(self, item: Any) -> int:
        """Give it to an idle process, or keep it until there is one."""
        self._waiting.append(Sent(self._tickets, item))
        self._tickets += 1
        self._begin()
        return self._tickets - 1

    def ended(self, seconds: float) -> list[Ended]:
        """Pass on what the processes say; what ended."""
        ready = wait([process.line for process in self._busy], seconds)
        heard = [self._hear(process) for process in list(self._busy) if process.line in ready]
        self._begin()
        return [each for each in heard if each is not None]

    def close(self) -> None:
        """Call off what runs, and end all processes."""
        everyone = [*self._busy, *self._idle]
        for process in everyone:
            process.line.close()
        for process in everyone:
            process.end(_GRACE)

    def _begin(self) -> None:
        while self._waiting and len(self._busy) < self.places:
            sent = self._waiting.popleft()
            process = self._idle.pop() if self._idle else self._new()
            self._busy[process] = sent
            process.give(sent.item)

    def _new(self) -> Process:
        taken = {process.number for process in self._busy}
        number = next(each for each in range(self.places) if each not in taken)
        variables = {"OMP_NUM_THREADS": str(self._resources.threads)}
        if self._devices:
            variables["CUDA_VISIBLE_DEVICES"] = self._devices[number % len(self._devices)]
        return Process(self._work, number, variables)

    def _hear(self, process: Process) -> Ended | None:
        """All that a process has said; how its item ended, if it did."""
        try:
            while True:
                heard = process.line.recv()
                if not isinstance(heard, Told):
                    self._idle.append(process)
                    return heard.ended(self._busy.pop(process).ticket)
                self._said(*heard.words)
                if not process.line.poll():
                    return None
        except (EOFError, ConnectionResetError):
            return self._lost(process)

    def _lost(self, process: Process) -> Ended | None:
        sent = self._busy.pop(process)
        process.end(0)
        given_up = sent.given_up()
        if given_up is None:
            self._waiting.appendleft(sent)
        return given_up
