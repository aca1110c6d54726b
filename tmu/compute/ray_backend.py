"""Items on the machines of a Ray cluster. Ray decides where and when each is computed (docs/compute.md)."""

import queue
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tmu.compute.crew import Ended, Resources, Sent, Tell, Work, silent
from tmu.compute.facts import compared, facts
from tmu.compute.outcome import Outcome, Told, failed, perform
from tmu.compute.ray_cluster import Cluster
from tmu.errors import ConfigError

_PAUSE = 0.1  # seconds in which a worker gathers what an item says


@dataclass(frozen=True)
class Ray:
    """address, token: see `Cluster`. workers: most items at once; None: as many as the cluster carries."""

    address: str | None = None
    token: Path | None = None
    workers: int | None = None

    @contextmanager
    def crew(self, work: Work, resources: Resources, most: int, said: Tell | None = None) -> Iterator["RayCrew"]:
        """Tasks of the cluster, connected as long as the block lasts."""
        with Cluster(self.address, self.token).connected() as ray:
            places = max(1, min(most, carried(ray.nodes(), resources), self.workers or most))
            crew = RayCrew(ray, work, resources, places, said or silent)
            try:
                yield crew
            finally:
                crew.close()


def carried(nodes: list[dict[str, Any]], resources: Resources) -> int:
    """How many items the cluster carries at once. Raises ConfigError where no node could ever carry one."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    cpus, gpus = (max((node.get(name, 0) for node in alive), default=0) for name in ("CPU", "GPU"))
    total = 0
    for node in alive:
        by_threads = int(node.get("CPU", 0) / resources.threads)
        by_gpus = int(node.get("GPU", 0)) * int(1 / resources.gpus + 1e-9) if resources.gpus else by_threads
        total += min(by_threads, by_gpus)
    if not total:
        raise ConfigError(
            f"An item takes {resources.threads} threads and {resources.gpus:g} GPUs; the best node of the Ray cluster "
            f"has {cpus:g} and {gpus:g}.",
            "Add a node, or lower `threads` or `compute_gpus_per_item`.",
        )
    return total


def refuse_too_few(nodes: list[dict[str, Any]], ranks: int, each: Resources) -> None:
    """Raise ConfigError where the cluster could never carry so many ranks. each: what a rank takes."""
    places = carried(nodes, each)
    if places < ranks:
        raise ConfigError(
            f"The Ray cluster carries {places} of {ranks} ranks: each takes {each.threads} threads and "
            f"{each.gpus:g} GPUs.",
            "Set `compute_ranks` to what it carries, or add a node.",
        )


class RayCrew:
    """Each item is a task that streams what it says, and at last its outcome."""

    def __init__(self, ray: Any, work: Work, resources: Resources, places: int, said: Tell) -> None:
        self._ray, self._work, self.places, self._said = ray, work, places, said
        self._task = ray.remote(_stream).options(
            num_returns="streaming", num_cpus=resources.threads, num_gpus=resources.gpus, max_retries=0
        )
        self._facts = facts()
        self._waiting: deque[Sent] = deque()
        self._running: dict[Any, Sent] = {}
        self._tickets = 0

    def submit(self, item: Any) -> int:
        """Hand it to Ray, or keep it while as many run as may."""
        self._waiting.append(Sent(self._tickets, item))
        self._tickets += 1
        self._begin()
        return self._tickets - 1

    def ended(self, seconds: float) -> list[Ended]:
        """Pass on what the items say; what ended."""
        if not self._running:
            time.sleep(seconds)
            return []
        streams = list(self._running)
        ready, rest = self._ray.wait(streams, num_returns=1, timeout=seconds, fetch_local=False)
        if ready and rest:
            ready += self._ray.wait(rest, num_returns=len(rest), timeout=0, fetch_local=False)[0]
        heard = [self._hear(stream) for stream in ready]
        self._begin()
        return [each for each in heard if each is not None]

    def close(self) -> None:
        """Stop what runs: its worker ends, and what it kept is kept."""
        for stream in self._running:
            self._ray.cancel(stream, force=True)
        self._running.clear()

    def _begin(self) -> None:
        while self._waiting and len(self._running) < self.places:
            sent = self._waiting.popleft()
            self._running[self._task.remote(self._work, sent.item, self._facts)] = sent

    def _hear(self, stream: Any) -> Ended | None:
        try:
            batch = self._ray.get(next(stream))
        except (self._ray.exceptions.RayError, StopIteration):
            return self._lost(stream)
        for each in batch:
            if not isinstance(each, Told):
                return each.ended(self._running.pop(stream).ticket)
            self._said(*each.words)
        return None

    def _lost(self, stream: Any) -> Ended | None:
        sent = self._running.pop(stream)
        given_up = sent.given_up()
        if given_up is None:
            self._waiting.appendleft(sent)
        return given_up


def _stream(work: Work, item: Any, here: dict[str, str]) -> Iterator[list[Told | Outcome]]:
    """In a worker of Ray: an item, done in a thread of its own, while this one hands on what it says."""
    refused = compared(here)
    if refused is not None:
        yield [failed(refused)]
        return
    news: queue.SimpleQueue[Told | Outcome] = queue.SimpleQueue()
    threading.Thread(target=_do, args=(work, item, news), daemon=True).start()
    ended = False
    while not ended:
        batch = [news.get()]
        time.sleep(_PAUSE)
        with suppress(queue.Empty):
            while True:
                batch.append(news.get_nowait())
        ended = not isinstance(batch[-1], Told)
        yield batch


def _do(work: Work, item: Any, news: "queue.SimpleQueue[Told | Outcome]") -> None:
    try:
        news.put(perform(work, item, lambda *words: news.put(Told(words))))
    except BaseException as error:
        news.put(failed(RuntimeError(f"{type(error).__name__}: {error}")))
        raise
