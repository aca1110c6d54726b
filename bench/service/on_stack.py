"""Deletions on the started servers: what they cost beside the computing, and a batch of many beside one of one."""

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.service.deletions import Deletion, ask, delete, train_original, wait_for_worker
from bench.service.intake import Rows

METHOD = "tmu-soft"


@contextmanager
def started() -> Iterator[Path]:
    """The stack in a workspace of its own, with the embedded digits and a model in service; gone at the end."""
    from infra.stack import remove_data as removal
    from infra.stack.down import down
    from infra.stack.place import Stack
    from infra.stack.up import up

    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)  # PostgreSQL's own user must get through
        home = Path(scratch) / "w"
        try:
            up(home, tell=lambda *_: None)
            train_original(home)
            yield home
        finally:
            down(Stack.open(home))
            removal.delete(Stack.open(home))


def overhead(deletions: int) -> Rows:
    """Wall time less compute of single deletions with a warm worker, mean and worst, and its items (means)."""
    with started() as home:
        _prefect_of(home)
        wait_for_worker()
        done = [_one(home, 1) for _ in range(deletions)]
    beside = [each.wall - each.compute for each in done]
    rows: Rows = {
        "deletions": (deletions, "runs"),
        "wall time": (statistics.mean(each.wall for each in done), "s"),
        "compute": (statistics.mean(each.compute for each in done), "s"),
        "overhead": (statistics.mean(beside), "s"),
        "overhead, worst": (max(beside), "s"),
    }
    for name in done[0].items:
        if name != "compute":
            rows[f"of it: {name}"] = (statistics.mean(each.items[name] for each in done), "s")
    return rows


def batch(pairs: int, many: int) -> Rows:
    """Compute and wall time of a batch of many requests over those of one, taken in turns; one record a request."""
    with started() as home:
        _prefect_of(home)
        wait_for_worker()
        turns = [(_one(home, 1), _one(home, many)) for _ in range(pairs)]
    compute = [large.compute / single.compute for single, large in turns]
    wall = [large.wall / single.wall for single, large in turns]
    return {
        "requests in the batch": (many, "requests"),
        "pairs": (pairs, "runs"),
        "compute of one": (statistics.mean(single.compute for single, _ in turns), "s"),
        "compute of the batch": (statistics.mean(large.compute for _, large in turns), "s"),
        "compute ratio": (statistics.mean(compute), "x"),
        "compute ratio, worst": (max(compute), "x"),
        "wall ratio": (statistics.mean(wall), "x"),
    }


def _one(home: Path, requests: int) -> Deletion:
    ask(home, requests, METHOD)
    return delete(requests)


def _prefect_of(home: Path) -> None:
    """Point this process at the stack's Prefect server."""
    import os

    from tmu.prefect_api import api_of
    from tmu.settings import load_settings

    os.environ.update(api_of(load_settings(home)).environment())
