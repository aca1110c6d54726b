"""The audit's numbers from inside the models, against their written formulas."""

import numpy as np
import pytest

from tmu.audit.metrics import all_metrics
from tmu.audit.outputs import softmax
from tmu.audit.probes.probed import Probed
from tmu.audit.probes.relearn import Relearned
from tmu.audit.view import Case, View


def _view(world, seed, *seen, steps=10, hits=None):
    outputs = world.model(seed, *seen)
    probed = world.probes({"it": outputs})["it"]
    hits = probed.residual_hits if hits is None else hits
    return View(world.sets, outputs, 0, Probed(probed.head_logits, hits, 16, Relearned(steps, censored=False)))


@pytest.fixture(scope="module")
def case(world):
    rng = np.random.default_rng(0)
    golds = tuple(_view(world, s, "retain", steps=8 * s, hits=rng.integers(0, 17, 50)) for s in (1, 2))
    model = _view(world, 3, "retain", steps=6, hits=rng.integers(0, 17, 50))
    return Case(model, golds, _view(world, 4, "forget", "retain"), 0, 200)


def _value(name, case):
    return all_metrics()[name].compute(case)


def test_head_numbers_against_a_slow_loop(case):
    labels = case.model.sets.labels["forget"]
    own = [softmax(z[None])[0] for z in case.model.probed.head_logits]
    assert _value("head_ua", case).value == pytest.approx(
        100 * np.mean([p.argmax() != y for p, y in zip(own, labels, strict=True)])
    )
    assert _value("head_confidence", case).value == pytest.approx(
        np.mean([p[y] for p, y in zip(own, labels, strict=True)])
    )

    def distance(view):
        total = [
            np.linalg.norm(softmax(a[None])[0] - softmax(b[None])[0])
            for gold in case.golds
            for a, b in zip(view.probed.head_logits, gold.probed.head_logits, strict=True)
        ]
        return np.mean(total)

    assert _value("head_distance", case).value == pytest.approx(distance(case.model))
    assert _value("head_distance_gain", case).value == pytest.approx(distance(case.original) - distance(case.model))


def test_ain_is_a_ratio_to_the_golds_and_its_ends_are_the_golds(case):
    found = _value("ain", case)
    assert (found.low, found.value, found.high) == pytest.approx((6 / 16, 6 / 12, 6 / 8))
    left_out = _value("ain", Case(case.model, case.golds, case.original, 0, 200, leave_one_out=True))
    assert left_out.value == pytest.approx((6 / 16 + 6 / 8) / 2)
    assert _value("relearn_steps", case).value == 6


def test_there_is_no_ain_where_a_gold_has_nothing_to_relearn(world, case):
    idle = _view(world, 5, "retain", steps=0)
    assert not all_metrics()["ain"].possible(Case(case.model, (case.golds[0], idle), None, 0, 200))
    assert all_metrics()["relearn_steps"].possible(Case(case.model, (case.golds[0], idle), None, 0, 200))


def test_residual_knowledge_against_the_written_formula(case):
    own, golds = case.model.probed.residual_hits, [gold.probed.residual_hits for gold in case.golds]
    ratios = [[(a + 1) / (b + 1) for a, b in zip(own, gold, strict=True)] for gold in golds]
    assert _value("residual_knowledge", case).value == pytest.approx(np.mean(ratios))
    assert _value("residual_share", case).value == pytest.approx(100 * np.mean(np.array(ratios) > 1))


def test_numbers_move_in_the_direction_that_traces_mean(world, case):
    sure, blind = (_view(world, 4, *seen, steps=1) for seen in (("forget", "retain"), ("retain",)))
    golds = tuple(_view(world, seed, "retain") for seed in (1, 2))
    traced, clean = (Case(view, golds, sure, 0, 200) for view in (sure, blind))
    for name in ("head_distance", "head_confidence", "residual_knowledge", "residual_share"):
        assert _value(name, traced).low > _value(name, clean).value, name
    assert _value("head_ua", traced).high < _value("head_ua", clean).value
    assert _value("head_distance_gain", clean).low > 0 == _value("head_distance_gain", traced).value
