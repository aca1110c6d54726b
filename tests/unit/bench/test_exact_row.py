"""A row with a recipe of its own: `exact-head` beside golds with a ridge head, from a suite's YAML to the tables."""

import pytest
from safetensors.torch import save_file

from bench import results
from bench.runner.plan import Task, needs
from bench.runner.start import Wish, start
from bench.suite import Suite
from bench.tables.cells import Cells
from bench.tables.columns import column
from bench.tables.contest import contest
from bench.tables.cost import cost
from tmu.compute import Here
from tmu.models.registry import build

FLEET = {"forget_set": "person", "methods": ["exact-head"]}
OWN = {"train": {"head": "ridge"}}


def suite(init, **more):
    return Suite.model_validate(
        {
            "name": "exact-tiny-toy",
            "title": "t",
            "dataset": "digits",
            "layout": {"holdout": 0.2, "test": 0.4},
            "model": {"options": {"width": 4}, "init": str(init)},
            "train": {"epochs": 1, "batch_size": 64},
            "golds": 2,
            "seeds": [0],
            "forget_sets": {"person": {"kind": "person"}},
            "methods": {"finetune": {"options": {"steps": 2}}, "exact-head": OWN},
        }
        | more
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    home = tmp_path_factory.mktemp("bench")
    net = build("small_resnet", (1, 8, 8), 10, {"width": 4})
    save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, home / "start.safetensors")
    wish = Wish(suite(home / "start.safetensors"), jobs=1, home=home, device="cpu", backend=Here())
    summary = start(wish)
    return summary, Cells.of(results.read(wish.suite.name, wish.folder), "digits")


def number(cells, metric, row="exact-head"):
    return cells.values("person", row, metric)[0]


def test_it_equals_its_own_golds_bit_for_bit_and_costs_less(measured):
    summary, cells = measured
    assert summary["complete"] and not summary["failed"] and not summary["refused"]
    for metric in ("average_gap", "activation_distance", "statistics_apart", "heads_apart"):
        assert number(cells, metric) == 0.0
    assert number(cells, "accuracy_test") != number(cells, "accuracy_test", "gold")  # another model, other golds
    assert number(cells, "seconds_alone") < number(cells, "seconds_retraining")
    assert number(cells, "seconds_ratio_audit") == pytest.approx(
        number(cells, "seconds_audit") / number(cells, "seconds_retraining")
    )
    assert not cells.values("person", "finetune", "statistics_apart")


def test_the_tables_show_it_beside_the_contest(measured):
    _, cells = measured
    assert list(contest(cells, "person", column(cells, "average_gap")).scores) == ["finetune"]
    text = "\n".join(cost(cells))
    assert "| `exact-head`, beside golds with a ridge head | 0." in text
    for line in ("a deletion by `exact-head` (s)", "one retraining with a ridge head (s)", "a recomputation (s)"):
        assert line in text


def test_it_waits_for_no_training_by_the_suites_recipe():
    asked = suite("s")
    assert needs(asked, Task("method", "person", "exact-head")) == [Task("forget", "person")]
    assert Task("gold", "person", number=1) in needs(asked, Task("method", "person", "finetune"))


def test_verdicts_streams_and_fleets_are_of_the_suites_own_recipe():
    asked = {"golds": 3, "verdicts": {"methods": ["finetune"]}}
    assert suite("s", **asked).verdicts
    with pytest.raises(ValueError, match="own recipe"):
        suite("s", **asked | {"verdicts": {"methods": ["finetune", "exact-head"]}})
    with pytest.raises(ValueError, match="own recipe"):
        suite("s", **asked | {"verdicts": {}})
    for part in ({"stream": {"methods": ["exact-head"], "seeds": [0]}}, {"fleet": FLEET}):
        with pytest.raises(ValueError, match="own recipe"):
            suite("s", **part)
