"""Processes side by side: results in order, news in the parent, whole errors, and nobody outlives the parent."""

import os
import subprocess
import sys
import threading
import time

import psutil
import pytest

from tests.compute_jobs import die, double, refuse_or_go_on
from tmu.compute import side_by_side, workers_for
from tmu.errors import DataError, StorageError


def test_results_come_in_order_from_several_processes_and_news_in_the_callers_thread() -> None:
    heard: list[tuple] = []
    done = side_by_side(double, [3, 1, 2, 5], 2, lambda *words: heard.append((threading.get_ident(), words)))
    assert [result for result, _ in done] == [6, 2, 4, 10]
    assert len({process for _, process in done}) == 2
    assert os.getpid() not in {process for _, process in done}
    assert {thread for thread, _ in heard} == {threading.get_ident()}
    assert {words for _, words in heard} == {("job", job) for job in (1, 2, 3, 5)}


def test_one_worker_works_right_here() -> None:
    heard: list[tuple] = []
    done = side_by_side(double, [3, 1], 1, lambda *words: heard.append(words))
    assert done == [(6, os.getpid()), (2, os.getpid())]
    assert heard == [("job", 3), ("job", 1)]


def test_an_error_of_ours_is_raised_whole_and_the_others_are_called_off() -> None:
    begun, before = time.monotonic(), set(psutil.Process().children(recursive=True))  # of other tests: servers
    with pytest.raises(DataError) as raised:
        side_by_side(refuse_or_go_on, [1, 0, 2], 2)
    assert (raised.value.what, raised.value.hint) == ("A half holds 1 record.", "Add people.")
    assert time.monotonic() - begun < 60  # the others would go on for ever
    assert _no_worker_left(before)


def test_a_killed_process_is_a_storage_error_that_may_pass() -> None:
    with pytest.raises(StorageError, match="ended before its time"):
        side_by_side(die, [1, 2], 2)


def test_processes_end_with_their_parent_also_where_it_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-m", "tests.compute_jobs"], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(parent.stdout.readline()) for _ in range(2)]
    workers = [psutil.Process(pid) for pid in pids]
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []


@pytest.mark.parametrize(
    ("jobs", "threads", "cores", "expected"), [(8, 1, 4, 4), (8, 2, 4, 2), (1, 1, 4, 1), (8, 9, 4, 1)]
)
def test_as_many_workers_as_the_cores_carry(monkeypatch, jobs, threads, cores, expected) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert workers_for(jobs, threads, "cpu") == expected


def test_one_worker_a_device(monkeypatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert workers_for(8, 1, "cuda") == 3


def _no_worker_left(before: set[psutil.Process]) -> bool:
    """Beside what was there before, only multiprocessing's own tracker of resources may stay."""
    left = set(psutil.Process().children(recursive=True)) - before
    return all("resource_tracker" in " ".join(each.cmdline()) for each in left)
