"""Processes side by side: results in order, news in the parent, whole errors, the lost recovered, none left behind."""

import os
import subprocess
import sys
import threading
import time
from typing import Any

import psutil
import pytest

from tests.compute_jobs import die, die_once, divide, double, give_what_cannot_be_sent, refuse_or_go_on, surroundings
from tmu.compute import Local, Resources, local, side_by_side
from tmu.compute.outcome import WorkFailed
from tmu.errors import ConfigError, DataError, StorageError

TWO, ONE_THREAD = Local(2), Resources(threads=1)


def test_results_come_in_order_from_several_processes_and_news_in_the_callers_thread() -> None:
    heard: list[tuple] = []
    done = side_by_side(
        TWO, double, [3, 1, 2, 5], ONE_THREAD, lambda *words: heard.append((threading.get_ident(), words))
    )
    assert [result for result, _ in done] == [6, 2, 4, 10]
    assert len({process for _, process in done}) == 2
    assert os.getpid() not in {process for _, process in done}
    assert {thread for thread, _ in heard} == {threading.get_ident()}
    assert {words for _, words in heard} == {("job", job) for job in (1, 2, 3, 5)}


def test_one_worker_works_right_here_unless_it_must_be_apart() -> None:
    heard: list[tuple] = []
    done = side_by_side(Local(1), double, [3, 1], ONE_THREAD, lambda *words: heard.append(words))
    assert done == [(6, os.getpid()), (2, os.getpid())]
    assert heard == [("job", 3), ("job", 1)]
    [(result, process)] = side_by_side(Local(1, apart=True), double, [3], ONE_THREAD)
    assert result == 6
    assert process != os.getpid()


def test_an_error_of_ours_is_raised_whole_and_the_others_are_called_off() -> None:
    begun, before = time.monotonic(), set(psutil.Process().children(recursive=True))  # of other tests: servers
    with pytest.raises(DataError) as raised:
        side_by_side(TWO, refuse_or_go_on, [1, 0, 2], ONE_THREAD)
    assert (raised.value.what, raised.value.hint) == ("A half holds 1 record.", "Add people.")
    assert raised.value.details == ("a line for the terminal",)
    assert time.monotonic() - begun < 60  # the others would go on for ever
    assert set(psutil.Process().children(recursive=True)) <= before


def test_another_error_comes_with_its_place_in_the_worker() -> None:
    with pytest.raises(WorkFailed, match="ZeroDivisionError: division by zero") as raised:
        side_by_side(TWO, divide, [1, 0], ONE_THREAD)
    assert "in divide" in raised.value.__notes__[0]


def test_a_result_that_cannot_be_sent_is_an_error_of_its_item() -> None:
    with pytest.raises(WorkFailed, match="pickle"):
        side_by_side(TWO, give_what_cannot_be_sent, [1, 0], ONE_THREAD)


def test_work_that_a_worker_cannot_find_is_said_at_once(monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["tests.compute_jobs"], "gone", _gone := _named_gone(), raising=False)
    with pytest.raises(WorkFailed, match=r"AttributeError.*gone"):
        side_by_side(TWO, _gone, [1, 2], ONE_THREAD)


def test_an_item_whose_worker_is_killed_is_begun_again_and_no_other(tmp_path) -> None:
    done = side_by_side(TWO, die_once, [(str(tmp_path), number) for number in range(3)], ONE_THREAD)
    assert done == [0, 10, 20]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0-0", "1-0", "1-1", "2-0"]


def test_an_item_that_kills_each_worker_is_named() -> None:
    with pytest.raises(StorageError, match="The worker of 7 ended before its time, 3 times"):
        side_by_side(Local(1, apart=True), die, [7], ONE_THREAD)


def test_processes_end_with_their_parent_also_where_it_is_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", "from tests.compute_jobs import main; main()"], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pids = [int(parent.stdout.readline()) for _ in range(2)]
    workers = [psutil.Process(pid) for pid in pids]
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []


@pytest.mark.parametrize(
    ("jobs", "threads", "cores", "most", "expected"),
    [(8, 1, 4, None, 4), (8, 2, 4, None, 2), (1, 1, 4, None, 1), (8, 9, 4, None, 1), (8, 1, 4, 3, 3)],
)
def test_as_many_workers_as_the_cores_carry(monkeypatch, jobs, threads, cores, most, expected) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert Local(most).places(jobs, Resources(threads)) == expected


@pytest.mark.parametrize(("gpus", "expected"), [(1.0, 3), (0.5, 6), (0.3, 9)])
def test_as_many_workers_as_the_devices_carry(monkeypatch, gpus, expected) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert Local().places(20, Resources(1, gpus)) == expected


def test_without_a_gpu_there_is_no_place_for_an_item_that_needs_one() -> None:
    with pytest.raises(ConfigError, match="no GPU on this machine"):
        Local().places(8, Resources(1, 1.0))


def test_a_worker_has_its_threads_its_device_and_no_input(monkeypatch) -> None:
    monkeypatch.setattr(local, "devices", lambda: ["4", "7"])  # the names that this process was given
    monkeypatch.setenv("OMP_NUM_THREADS", "13")
    done = side_by_side(TWO, surroundings, [1, 2], Resources(threads=2, gpus=1.0))
    assert sorted(done) == [("2", "4", b""), ("2", "7", b"")]


def _named_gone() -> Any:
    """A function that says it is `tests.compute_jobs.gone`, where a worker finds none."""

    def gone(job: int, tell: Any) -> None: ...

    gone.__module__, gone.__qualname__ = "tests.compute_jobs", "gone"
    return gone
