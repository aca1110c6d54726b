"""Suites are checked before anything is computed."""

import pytest
import yaml

from bench import suite as suites
from tmu.errors import ConfigError

SMALL = {
    "title": "t",
    "dataset": "digits",
    "forget_sets": {"a": {"kind": "random", "share": 0.1}},
    "methods": {"finetune": None, "tmu/noise-free": {"options": {"noise": 0.0}}},
}


def written(tmp_path, **changes):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(suites.merged(SMALL, changes)))
    return str(path)


@pytest.mark.parametrize("name", suites.names())
@pytest.mark.parametrize("toy", [False, True])
def test_every_suite_of_the_project_is_whole(name, toy):
    suite = suites.load(name, toy=toy)
    suites.check(suite)
    assert suite.name == name + "-toy" * toy
    if suite.seeds and suite.forget_sets and "people" not in name:  # a comparison; others measure one thing alone
        assert {"tmu-soft", "tmu", "finetune", "random choice"} <= set(suite.methods)
        assert suite.options("random choice").selection == "random"
    assert suite.dataset == "digits" or not toy


def test_a_toy_is_the_same_suite_made_small():
    whole, toy = suites.load("gpu-cifar10"), suites.load("gpu-cifar10", toy=True)
    assert (whole.train.epochs, toy.train.epochs) == (182, 2)
    assert toy.options("sfr-on").steps == toy.most_steps < whole.options("sfr-on").steps
    assert list(toy.methods) == list(whole.methods)


def test_a_row_takes_its_method_from_its_name(tmp_path):
    suite = suites.load(written(tmp_path))
    assert suite.method("tmu/noise-free") == "tmu"
    assert suite.options("tmu/noise-free").noise == 0.0


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"epochs": 3}, "epochs"),
        ({"golds": 1}, "golds"),
        ({"train": {"epoch": 3}}, "train.epoch"),
        ({"forget_sets": {"a": {"kind": None}}}, "kind"),
        ({"forget_sets": {"a/b": {"kind": "random"}}}, "a/b"),
        ({"methods": {"gold": {"method": "finetune"}}}, "gold"),
        ({"methods": {"finetune": {"only_on": ["b"]}}}, "b"),
        ({"retired": ["finetune"]}, "retired"),
        ({"stream": {"deletions": 95, "share": 0.01}}, "stream"),
        ({"stream": {"methods": ["scrub"]}}, "stream"),
        ({"stream": {"methods": ["finetune"], "seeds": [9]}}, "stream"),
        ({"stream": {"methods": ["finetune"], "deletions": 3, "measured": [1, 4]}}, "stream"),
        ({"methods": {"finetune": {"options_on": {"b": {}}}}}, "b"),
        ({"verdicts": {"methods": ["scrub"]}}, "methods of the verdicts"),
        ({"verdicts": {"forget_sets": ["b"]}}, "forget_sets of the verdicts"),
        ({"verdicts": {"seeds": [9]}}, "seeds of the verdicts"),
        ({"references": {"pairs": 1}, "verdicts": {"pairs": [2]}}, "more pairs"),
    ],
)
def test_a_fault_in_a_suite_is_named(tmp_path, changes, named):
    with pytest.raises(ConfigError, match=named):
        suites.load(written(tmp_path, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"methods": {"finetune": {"options": {"speed": 1}}}},
        {"methods": {"finetune": {"options_on": {"a": {"speed": 1}}}}},
        {"methods": {"nothing-like-it": {}}},
        {"forget_sets": {"a": {"kind": "random", "size": 1}}},
        {"forget_sets": {"a": {"kind": "nothing-like-it"}}},
    ],
)
def test_unknown_methods_kinds_and_options_are_refused_before_the_run(tmp_path, changes):
    suite = suites.load(written(tmp_path, **changes))
    with pytest.raises(ConfigError):
        suites.check(suite)


def test_a_row_may_have_options_of_its_own_on_one_forget_set(tmp_path):
    row = {"options": {"steps": 30, "lr": 0.02}, "options_on": {"a": {"steps": 3}}}
    suite = suites.load(written(tmp_path, methods={"finetune": row}))
    found = [(suite.options("finetune", name).steps, suite.options("finetune", name).lr) for name in ("a", "", "b")]
    assert found == [(3, 0.02), (30, 0.02), (30, 0.02)]


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(ConfigError, match="smoke"):
        suites.load("no-such-suite")
    with pytest.raises(ConfigError, match="toy"):
        suites.load(written(tmp_path), toy=True)


def test_stored_ablations_can_be_run_or_are_marked_as_retired():
    """No stored row is orphaned: the suite still measures it, or says that its code is gone."""
    from bench import results
    from bench.tables.cells import Cells

    for name in suites.names():
        table, suite = results.read(name), suites.load(name)
        for dataset in set(table["dataset"].to_pylist()):
            cells = Cells.of(table, dataset)
            stored = {row for rows in cells.measured.values() for row in rows}
            ablations = {row for forget_set in cells.forget_sets() for row in cells.ablations(forget_set)}
            assert ablations <= {*suite.methods, *suite.retired}
            assert set(suite.retired) <= stored
