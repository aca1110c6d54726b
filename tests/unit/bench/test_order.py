"""The order of tasks, with tasks that are names and a crew that works right here."""

import time
from typing import Any

import pytest

from bench.runner.order import Hooks, Report, Stopped, run
from tmu.compute import Ended, Here, Resources
from tmu.compute.outcome import WorkFailed


def do(tasks, work, **given: Any) -> Report:
    with Here().crew(lambda task, tell: work(task), Resources(), len(tasks)) as crew:
        return run(tasks, lambda task: task, crew, **given)


TASKS = {"a": [], "b": ["c"], "c": [], "d": ["b"], "e": []}


def test_the_first_task_that_is_ready_goes_first():
    order = []
    report = do(TASKS, order.append)
    assert order == ["a", "c", "b", "d", "e"]
    assert report.done == order
    assert not (report.failed or report.skipped or report.undone)


def test_a_failure_stops_only_what_needs_it():
    def work(task):
        if task == "c":
            raise ValueError("no")

    report = do(TASKS, work)
    assert report.done == ["a", "e"]
    assert report.failed == {"c": "ValueError: no"}
    assert report.skipped == {"b": "c", "d": "c"}


def test_the_words_of_a_worker_are_taken_as_they_are():
    def work(task):
        raise WorkFailed("KeyError: 'row'")

    assert do({"a": []}, work).failed == {"a": "KeyError: 'row'"}


def test_nothing_starts_after_the_deadline():
    report = do(TASKS, lambda task: None, deadline=time.time() - 1)
    assert report.undone == list(TASKS)
    assert not report.done


def test_a_task_that_stops_itself_is_undone_and_so_is_what_needs_it():
    report = do(TASKS, lambda task: Stopped() if task == "c" else None, deadline=time.time() + 60)
    assert sorted(report.undone) == ["b", "c", "d"]
    assert report.done == ["a", "e"]
    assert not (report.failed or report.skipped)


class Watched:
    """Two places; says how many tasks were given to it at once."""

    places = 2

    def __init__(self):
        self.running, self.most = [], 0

    def submit(self, item):
        self.running.append(item)
        self.most = max(self.most, len(self.running))
        return ord(item)

    def ended(self, seconds):
        return [Ended(ord(self.running.pop(0)), "a result")]


def test_no_more_run_at_once_than_there_are_places():
    crew = Watched()
    report = run({name: [] for name in "abcdef"}, lambda task: task, crew)
    assert report.done == list("abcdef")
    assert crew.most == 2


def test_tasks_that_need_each_other_are_refused():
    with pytest.raises(ValueError, match="cycle"):
        do({"a": ["b"], "b": ["a"]}, lambda task: None)


def test_an_error_of_the_caller_is_a_failure_of_the_task():
    def finished(task, result):
        if task == "c":
            raise OSError("disk full")

    report = do(TASKS, lambda task: task, hooks=Hooks(finished=finished))
    assert "disk full" in report.failed["c"]
    assert set(report.skipped) == {"b", "d"}
