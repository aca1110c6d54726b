"""A training that is stopped by the clock goes on and ends in the same weights, and costs what it costs."""

import time

import pytest
import torch

from bench.runner import engine
from bench.runner.engine import Engine, TimeIsUp
from tests.synthetic import MEMORISE, SEEDS, blobs, tiny_net

SHORT = MEMORISE.model_copy(update={"epochs": 6})


def same(first, second):
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


def test_a_stopped_training_goes_on(tmp_path):
    whole, stopped, train = tiny_net(), tiny_net(), blobs(120, seed=1)
    Engine(tmp_path / "a", "k", "cpu", None)(whole, train, SHORT, SEEDS)
    clock = Engine(tmp_path / "b", "k", "cpu", time.time() + 3600, snapshot_seconds=0.0)
    ticks = iter(range(100))
    clock._tick = lambda *_: (_ for _ in ()).throw(TimeIsUp) if next(ticks) == 2 else None
    with pytest.raises(TimeIsUp):
        clock(stopped, train, SHORT, SEEDS)
    fresh, again = tiny_net(), Engine(tmp_path / "b", "k", "cpu", None)
    report = again(fresh, train, SHORT, SEEDS)
    assert report.resumed_at > 0
    assert again.earlier > 0
    assert not same(stopped, whole)
    assert same(fresh, whole)


def test_a_deadline_that_has_passed_stops_it(tmp_path):
    with pytest.raises(TimeIsUp):
        Engine(tmp_path, "k", "cpu", time.time() - 1)(tiny_net(), blobs(120, seed=1), SHORT, SEEDS)


def test_a_long_training_that_is_finished_is_not_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "_WORTH_KEEPING", 0.0)
    first, train = tiny_net(), blobs(120, seed=1)
    report = Engine(tmp_path, "k", "cpu", None)(first, train, SHORT, SEEDS)
    monkeypatch.setattr(engine, "fit", None)  # a second training would fail
    second = tiny_net()
    again = Engine(tmp_path, "k", "cpu", None)
    assert again(second, train, SHORT, SEEDS) == report
    assert again.earlier == report.seconds_train
    assert same(first, second)
    again.clean()
    assert not list(tmp_path.iterdir())


def test_on_a_gpu_the_clock_is_read_when_the_gpu_is_done(monkeypatch):
    told = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: told.append(device))
    monkeypatch.setattr(engine.time, "perf_counter", lambda: len(told))
    assert engine.clock("cuda") == 1
    assert told == ["cuda"]
    assert engine.clock("cpu") > 0
    assert told == ["cuda"]
