"""The scheduler, with tasks that are names."""

import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from bench.runner.schedule import Hooks, Stopped, run


class Inline(Executor):
    """Runs at once; a task that raises BrokenProcessPool stands for a process that died."""

    def submit(self, work, task):
        future = Future()
        try:
            future.set_result(work(task))
        except Exception as error:
            future.set_exception(error)
        return future


TASKS = {"a": [], "b": ["c"], "c": [], "d": ["b"], "e": []}


def test_the_first_task_that_is_ready_goes_first():
    order = []
    report = run(TASKS, order.append, Inline, 1)
    assert order == ["a", "c", "b", "d", "e"]
    assert report.done == order
    assert not (report.failed or report.skipped or report.undone)


def test_a_failure_stops_only_what_needs_it():
    def work(task):
        if task == "c":
            raise ValueError("no")

    report = run(TASKS, work, Inline, 1)
    assert report.done == ["a", "e"]
    assert report.failed == {"c": "ValueError: no"}
    assert report.skipped == {"b": "c", "d": "c"}


def test_a_process_that_dies_fails_its_task_and_a_new_pool_goes_on():
    made = []

    def pool():
        made.append(Inline())
        return made[-1]

    def work(task):
        if task == "a":
            raise BrokenProcessPool

    report = run(TASKS, work, pool, 1)
    assert set(report.failed) == {"a"}
    assert len(report.done) == 4
    assert len(made) == 2


def test_nothing_starts_after_the_deadline():
    report = run(TASKS, lambda task: None, Inline, 1, deadline=time.time() - 1)
    assert report.undone == list(TASKS)
    assert not report.done


def test_a_task_that_stops_itself_is_undone_and_so_is_what_needs_it():
    report = run(TASKS, lambda task: Stopped() if task == "c" else None, Inline, 1, deadline=time.time() + 60)
    assert sorted(report.undone) == ["b", "c", "d"]
    assert report.done == ["a", "e"]
    assert not (report.failed or report.skipped)


def test_no_more_run_at_once_than_jobs():
    running, most = set(), []

    def work(task):
        running.add(task)
        most.append(len(running))
        time.sleep(0.02)
        running.discard(task)

    run({name: [] for name in "abcdef"}, work, lambda: ThreadPoolExecutor(4), 2)
    assert max(most) == 2


def test_an_error_of_the_caller_is_a_failure_of_the_task():
    def finished(task, result):
        if task == "c":
            raise OSError("disk full")

    report = run(TASKS, lambda task: task, Inline, 1, hooks=Hooks(finished=finished))
    assert "disk full" in report.failed["c"]
    assert set(report.skipped) == {"b", "d"}
