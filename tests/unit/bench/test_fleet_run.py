"""A suite's fleet from its YAML to stored rows, stopped and resumed."""

import numpy as np
import pytest
import yaml

from bench import results, suite
from bench.runner import fleet
from bench.runner import start as starting
from bench.runner.order import Stopped
from bench.runner.plan import Task, matching, measuring, missing, needs, with_needs
from bench.runner.start import Wish, start
from bench.suite import Suite
from tests.bench_runs import does_nothing, kept, tasks_started
from tmu.compute import Here
from tmu.errors import ConfigError, ModelError, StorageError

SUITE = Suite.model_validate(
    {
        "name": "fleet-tiny-toy",
        "title": "t",
        "dataset": "digits",
        "layout": {"holdout": 0.3, "test": 0.55},
        "model": {"options": {"width": 4}},
        "train": {"epochs": 2},
        "golds": 2,
        "seeds": [1],
        "most_steps": 4,
        "forget_sets": {"random": {"kind": "random", "share": 0.04}},
        "methods": {
            "finetune": {},
            "ssd": {"options": {"alpha": 50.0}, "only_on": []},
            "tmu-soft": {"only_on": []},
        },
        "fleet": {"models": 4, "forget_set": "random", "methods": ["finetune", "ssd"]},
    }
)
CELLS = {("fleet/random", row, 0) for row in ("original", "second gold", "finetune", "ssd")}


def wish(home, **given):
    return Wish(SUITE, jobs=1, home=home, device="cpu", backend=Here(), **given)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Folder and summary of a whole run, and the folders of the models of each side that was looked at."""
    home, seen = tmp_path_factory.mktemp("bench"), []
    side_of = fleet.side_of

    def watched(bench, made):
        seen.append([each.folder for each in made])
        return side_of(bench, made)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fleet, "side_of", watched)
        summary = start(wish(home))
    return home, summary, seen


def rows(home):
    return results.read(SUITE.name, wish(home).folder)


def stored(home, row, forget="fleet/random"):
    chosen = [each for each in rows(home).to_pylist() if (each["forget_set"], each["method"]) == (forget, row)]
    return {each["metric"]: each["value"] for each in chosen}


def test_every_row_is_measured_beside_the_cells_of_single_models(measured):
    home, summary, _ = measured
    assert summary["complete"]
    assert summary["failed"] == summary["skipped"] == {}
    singles = {("random", row, 1) for row in ("original", "gold", "second gold", "finetune")}
    assert wish(home).book.cells() == CELLS | singles
    assert "average_gap" in stored(home, "finetune", "random")
    assert "average_gap" not in stored(home, "finetune")
    assert None not in rows(home)["value"].to_pylist()


def test_rows_carry_floors_intervals_fleet_size_and_cost(measured):
    home, _, _ = measured
    found, floor = stored(home, "finetune"), stored(home, "second gold")
    for metric in ("klom_forget", "klom_retain_p95", "ulira_accuracy", "rmia_tpr_at_01pct_fpr", "forgetting_score"):
        assert found[f"{metric}_low"] <= found[metric] <= found[f"{metric}_high"]
    assert found["klom_forget_floor"] == floor["klom_forget"] == floor["klom_forget_floor"]
    assert found["forgetting_score_null"] == floor["forgetting_score"]
    assert found["fleet_models"] == 4
    assert found["seconds_ratio_whole"] > 0
    assert "seconds_ratio_whole" not in floor


def test_each_side_has_the_models_that_it_should(measured):
    """Rows in the order of the plan; of each: the row, the originals, the golds, the second golds."""
    _, _, seen = measured
    (nothing, first), (honest, second), (unlearned, third) = ((seen[at], seen[at + 1 : at + 4]) for at in (0, 4, 8))
    assert first == second == third
    originals, golds, further = first
    assert nothing == originals
    assert honest == further
    assert [len(set(side)) for side in (originals, golds, further, unlearned)] == [4, 4, 4, 4]
    assert len({*originals, *golds, *further, *unlearned}) == 16
    weights = [(folder / "weights.safetensors").read_bytes() for folder in (*originals, *golds, *further, *unlearned)]
    assert len(set(weights)) == 16


def test_model_i_starts_from_original_i_with_what_was_made_for_it():
    class Shop:
        suite = SUITE

        def original(self, number):
            return f"original {number}"

        def help(self, row, number):
            return f"help of {row} {number}"

        def unlearned(self, row, number, start, request, given, forget):
            made.append((row, number, start, given, forget))

    made, masks = [], {"random": np.ones(3, bool)}
    for row in ("finetune", "tmu-soft"):
        fleet.unlearn(Shop(), Task("unlearn", "random", row, 2), masks)
    assert made == [(row, 2, "original 2", f"help of {row} 2", "random") for row in ("finetune", "tmu-soft")]


def test_a_method_that_refuses_is_a_result(measured):
    home, summary, _ = measured
    assert stored(home, "ssd") == {"refused": 1.0}
    assert [line.startswith("fleet random ssd") for line in summary["refused"]] == [True]


@pytest.mark.parametrize(("row", "error"), [("original", ModelError), ("finetune", StorageError)])
def test_what_is_no_refusal_is_a_failure(monkeypatch, row, error):
    def broken(*_):
        raise error("no", "no")

    monkeypatch.setattr(fleet, "_rows", broken)
    with pytest.raises(error):
        fleet.measure(None, Task("fleet", "random", row), {})


def test_a_second_run_does_nothing(measured, monkeypatch):
    assert does_nothing(wish(measured[0]), monkeypatch)


def test_a_row_that_is_forgotten_is_measured_again_from_kept_models(measured, monkeypatch):
    home = measured[0]
    before, was = kept(home, SUITE.name), stored(home, "finetune")
    done, summary = tasks_started(wish(home, fresh=("finetune",), only=("fleet/*",)), monkeypatch)
    assert [task for task in done if task.startswith("fleet")] == ["fleet random finetune 0"]
    assert sum(task.startswith("unlearn") for task in done) == 4
    assert kept(home, SUITE.name) == before
    assert stored(home, "finetune") == was
    assert (summary["done"], summary["cells"]) == (4, 4)
    assert "average_gap" in stored(home, "finetune", "random")


def test_a_stopped_fleet_goes_on_with_the_models_that_it_has(tmp_path, monkeypatch):
    """One gold is stopped by the clock; the next call trains that one, and nothing twice."""
    trained, perform, only = tmp_path / SUITE.name / "trained", starting.perform, ("fleet/random/original/*",)
    late = Task("gold", "random", number=2)
    monkeypatch.setattr(starting, "perform", lambda job: Stopped() if job.task == late else perform(job))
    summary = start(wish(tmp_path, only=only))
    assert (summary["done"], summary["complete"], summary["failed"]) == (0, False, {})
    times = {folder: (folder / "run.json").stat().st_mtime_ns for folder in trained.iterdir()}
    assert len(times) == 11
    monkeypatch.setattr(starting, "perform", perform)
    assert start(wish(tmp_path, only=only))["complete"]
    assert len(list(trained.iterdir())) == 12
    assert {folder: (folder / "run.json").stat().st_mtime_ns for folder in times} == times


def test_the_plan_holds_what_each_row_needs_and_no_more():
    tasks = [task for task in measuring(SUITE) if task.kind == "fleet"]
    assert {cell for task in tasks for cell in task.cells} == CELLS
    assert measuring(SUITE)[-len(tasks) :] == tasks
    of = {task.row: needs(SUITE, task) for task in tasks}
    assert sum(each.kind == "gold" for each in of["original"]) == 8
    assert not any(each.kind == "unlearn" for each in (*of["original"], *of["second gold"]))
    assert [each.number for each in of["finetune"] if each.kind == "unlearn"] == [0, 1, 2, 3]
    for kind in ("references", "lessons"):
        assert Task(kind, number=2) in needs(SUITE, Task("unlearn", "random", "tmu-soft", 2))
    assert needs(SUITE, Task("unlearn", "random", "finetune", 2)) == [
        Task("original", number=2),
        Task("forget", "random"),
    ]
    ordered = list(with_needs(SUITE, tasks))
    for place, task in enumerate(ordered):
        assert all(ordered.index(need) < place for need in needs(SUITE, task))
    planned = with_needs(SUITE, missing(tasks, CELLS - {("fleet/random", "original", 0)}))
    assert not any(task.kind == "unlearn" for task in planned)
    assert [task.row for task in matching(measuring(SUITE), ["fleet/*/finetune/*"])] == ["finetune"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"fleet": {"models": 3}}, "fleet.models"),
        ({"fleet": {"forget_set": "elsewhere"}}, "fleet"),
        ({"fleet": {"methods": ["scrub"]}}, "fleet"),
        ({"fleet": {"methods": []}}, "fleet.methods"),
        ({"fleet": {"size": 8}}, "fleet.size"),
        ({"fleet": None, "seeds": []}, "nothing"),
        ({"fleet": None, "forget_sets": None}, "nothing"),
    ],
)
def test_a_fault_in_a_fleet_is_named(tmp_path, changes, named):
    path = tmp_path / "mine.yaml"
    raw = {name: value for name, value in SUITE.model_dump(mode="json").items() if name != "name"}
    path.write_text(yaml.safe_dump(suite.merged(raw, changes)))
    with pytest.raises(ConfigError, match=named):
        suite.load(str(path))
    path.write_text(yaml.safe_dump(raw))
    assert suite.load(str(path)).fleet == SUITE.fleet


def test_the_suites_of_the_project_measure_what_they_say():
    whole, toy = suite.load("fleet"), suite.load("fleet", toy=True)
    assert (whole.fleet.models, toy.fleet.models) == (32, 4)
    assert {task.kind for task in measuring(whole)} == {"fleet"}
    assert len(measuring(whole)) == len(whole.methods) + 2
    stream = suite.load("stream")
    cells = {cell for task in measuring(stream) for cell in task.cells}
    assert {cell[1] for cell in cells} == {"original", "gold", "second gold", "tmu-soft", "finetune"}
    assert {cell[2] for cell in cells} == {0, 1, 2, 3, 4}
    assert len({cell[0] for cell in cells}) == 20
