"""A tiny suite from data to stored rows, stopped and resumed."""

from dataclasses import replace

import pyarrow.compute as pc
import pytest

from bench import results
from bench.runner import cells
from bench.runner.plan import in_stream, measuring
from bench.runner.start import Wish, start
from bench.sections import MethodRow
from bench.suite import Suite, load
from tests.bench_runs import does_nothing, kept, tasks_started
from tmu.compute import Here
from tmu.errors import ConfigError

SUITE = Suite.model_validate(
    {
        "name": "tiny-toy",
        "title": "t",
        "dataset": "digits",
        "layout": {"holdout": 0.3, "test": 0.5},
        "model": {"options": {"width": 8}},
        "train": {"epochs": 2},
        "golds": 3,
        "seeds": [0, 1],
        "most_steps": 4,
        "forget_sets": {"random": {"kind": "random", "share": 0.2}, "worst": {"kind": "worst-case", "share": 0.1}},
        "methods": {"finetune": {}, "ssd": {"options": {"alpha": 50.0}, "only_on": ["random"]}},
        "stream": {"deletions": 2, "share": 0.1, "seeds": [1], "methods": ["finetune"]},
    }
)


def wish(home, **given):
    return Wish(SUITE, jobs=1, home=home, device="cpu", backend=Here(), **given)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The folder and summary of a whole run, and what every row was measured against."""
    home, seen = tmp_path_factory.mktemp("bench"), []
    numbers = cells.Bench.numbers

    def watched(self, made, golds, original):
        golds = list(golds)
        seen.append((self.rows["forget"].tobytes(), made.folder, tuple(gold.folder for gold in golds), original.folder))
        return numbers(self, made, golds, original)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells.Bench, "numbers", watched)
        summary = start(wish(home))
    return home, summary, seen


def rows(home):
    return results.read(SUITE.name, wish(home).folder)


def test_every_cell_is_measured(measured):
    home, summary, _ = measured
    wanted = {cell for task in measuring(SUITE) for cell in task.cells}
    assert summary["complete"]
    assert summary["failed"] == summary["skipped"] == {}
    assert wish(home).book.cells() == wanted
    assert rows(home).schema.equals(results.SCHEMA)
    assert None not in rows(home)["value"].to_pylist()


def test_rows_carry_what_a_reader_needs(measured):
    table = rows(measured[0])
    found = set(table["metric"].to_pylist())
    assert {"ua", "average_gap", "activation_distance", "seconds_ratio_whole", "density_forget/00"} <= found
    gold = table.filter(pc.equal(table["method"], "gold"))
    assert "average_gap" not in gold["metric"].to_pylist()
    assert {"ua", "accuracy_test", "seconds_alone"} <= set(gold["metric"].to_pylist())
    assert all(row["command"].startswith("python -m bench tiny") and row["hardware"] for row in table.to_pylist())


def test_a_method_that_refuses_is_a_result(measured):
    home, summary, _ = measured
    assert len(summary["refused"]) == 2
    stored = results.values(rows(home), forget_set="random", method="ssd", metric="refused")
    assert stored == {0: 1.0, 1: 1.0}


def test_every_row_of_a_seed_faces_the_same_golds_and_not_its_floor(measured):
    _, _, seen = measured
    faced = [(bench, original, golds) for bench, _, golds, original in seen if golds]
    of = {}
    for bench, original, golds in faced:
        of.setdefault((bench, original), set()).add(golds)
    assert of
    assert all(len(sets) == 1 for sets in of.values())
    floors = [(made, golds) for _, made, golds, _ in seen if golds and made.parent.name == "trained"]
    assert any(made not in golds for made, golds in floors)
    assert all(made not in golds for made, golds in floors)
    assert {len(golds) for _, _, golds, _ in seen} == {0, 1, 2}  # plain numbers; the stream; three golds less one


def test_the_stream_is_measured_on_all_that_is_gone_and_on_the_last_deletion(measured):
    table = rows(measured[0])
    found = table.filter(pc.equal(table["forget_set"], "stream/02"))
    assert {"average_gap", "latest/average_gap"} <= set(found["metric"].to_pylist())
    first = table.filter(pc.equal(table["forget_set"], "stream/01"))
    assert not any(name.startswith("latest/") for name in first["metric"].to_pylist())
    assert {row["seed"] for row in table.to_pylist() if in_stream(row["forget_set"])} == {1}


def test_a_second_run_does_nothing(measured, monkeypatch):
    assert does_nothing(wish(measured[0]), monkeypatch)


def test_a_row_that_is_forgotten_is_measured_again_from_kept_models(measured, monkeypatch):
    home = measured[0]
    before, was = kept(home, SUITE.name), rows(home)
    done, summary = tasks_started(wish(home, fresh=("finetune",), only=("random/*/1",)), monkeypatch)
    assert [task for task in done if task.startswith("method")] == ["method random finetune 1"]
    assert not any("worst" in task or task == "original 0" for task in done)
    assert kept(home, SUITE.name) == before
    drop = ["at", "seconds"]
    assert rows(home).drop_columns(drop).equals(was.drop_columns(drop))
    assert summary["cells"] == 5
    with pytest.raises(ConfigError, match="nobody"):
        start(wish(home, fresh=("nobody",)))


def test_when_the_time_is_up_nothing_is_lost_and_nothing_is_a_failure(tmp_path):
    summary = start(wish(tmp_path, minutes=0))
    assert (summary["done"], summary["complete"], summary["failed"]) == (0, False, {})


def test_a_failing_twin_is_reported_and_the_rest_goes_on(measured):
    impossible = SUITE.model_copy(
        update={
            "methods": {"tmu": MethodRow(), "finetune": SUITE.methods["finetune"]},
            "twin": SUITE.twin.model_copy(update={"max_rounds": 1, "accuracy_tolerance": 1e-9}),
            "stream": None,
        }
    )
    summary = start(replace(wish(measured[0]), suite=impossible, only=("random/*/0",)))
    assert "GateError" in summary["failed"]["twin 0"]
    assert summary["skipped"] == {
        "method random tmu 0": "needs twin 0",
        "predictor random 0": "needs twin 0",
    }
    assert not summary["complete"]


@pytest.mark.parametrize(
    ("name", "only", "cells"),
    [
        ("gpu-cifar10", ("random-10/original/*", "random-10/tmu-soft/*", "random-10/scrub/*", "random-10/twin/*"), 6),
        ("people", ("person-0/*/*", "verdict/person-0/half-way/*", "verdict/person-0/second gold/*"), 10),
        ("stream-people", ("*",), 8),
    ],
)
def test_suites_that_no_short_run_could_measure_run_as_toys(tmp_path, name, only, cells):
    summary = start(replace(wish(tmp_path, only=only), suite=load(name, toy=True)))
    assert summary["failed"] == {}
    assert summary["refused"] == []
    assert (summary["done"], summary["cells"]) == (cells, cells)
    assert summary["results"].startswith(str(tmp_path))
