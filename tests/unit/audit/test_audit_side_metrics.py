"""The metrics beside the headline: RF-JSD, the worst class's drop, and the reversed membership attack."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from tmu.audit.metrics import all_metrics
from tmu.audit.metrics.gold_free import jensen_shannon
from tmu.audit.outputs import Sets, logit_confidence, softmax
from tmu.audit.table import audit_table
from tmu.audit.view import Case, View


@pytest.fixture(scope="module")
def cases(world, change_logits):
    views = {name: View(world.sets, outputs, seed=0) for name, outputs in world.models().items()}
    golds = views["gold"], views["second gold"]
    hidden = change_logits(
        world.model(2, "retain"), "forget", lambda z: z - 12 * np.eye(10)[world.sets.labels["forget"]]
    )
    models = {
        **views,
        "hidden": View(world.sets, hidden, 0),
        "noisy": View(world.sets, world.model(9, "retain", noise=1.5), 0),
    }
    models["further gold"] = View(world.sets, world.model(11, "retain"), 0)
    return {name: Case(model, golds, views["original"], seed=0, resamples=300) for name, model in models.items()}


def _value(name, case):
    return all_metrics()[name].compute(case)


def test_metrics_come_in_the_order_of_their_files_whatever_was_imported_first():
    """This file imports `gold_free` before the registry imports the rest."""
    modules = [each.compute.__module__ for each in all_metrics().values()]
    assert modules == sorted(modules) and modules[0].endswith("accuracy")


def test_jensen_shannon_against_scipy_with_zeros():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.full(5, 0.2), 20), rng.dirichlet(np.full(5, 0.2), 20)
    p[0], q[0] = np.eye(5)[0], np.eye(5)[1]
    assert jensen_shannon(p, q) == pytest.approx([jensenshannon(a, b) ** 2 for a, b in zip(p, q, strict=True)])
    assert jensen_shannon(p[0], q[0]) == pytest.approx(np.log(2))
    assert (jensen_shannon(p, p) == 0).all()


def test_rf_jsd_against_a_slow_loop(cases):
    case = cases["noisy"]
    labels, own, original = case.model.sets.labels, case.model.outputs.logits, case.original.outputs.logits
    slow = []
    for each in range(10):
        p = np.mean([softmax(z[None])[0] for z in own["forget"][labels["forget"] == each]], axis=0)
        q = np.mean([softmax(z[None])[0] for z in original["test"][labels["test"] == each]], axis=0)
        slow.append(jensenshannon(p, q) ** 2)
    assert _value("rf_jsd", case).value == pytest.approx(1e4 * np.mean(slow))


def test_rf_jsd_tells_doing_nothing_from_a_retrain(cases):
    nothing, retrain = _value("rf_jsd", cases["original"]), _value("rf_jsd", cases["further gold"])
    assert nothing.low > retrain.value and nothing.value > 2 * retrain.value
    assert retrain.low <= retrain.value <= retrain.high


def test_rf_jsd_is_left_out_where_no_class_is_in_both_sets(world):
    labels = {**world.sets.labels, "forget": np.full(200, 9), "test": world.sets.labels["test"] % 9}
    sets = Sets(labels)
    models = world.models()
    table = audit_table(sets, models, ["gold", "second gold"], {}, 0, resamples=100)
    assert table.value("second gold", "rf_jsd") is None
    whole = audit_table(world.sets, models, ["gold", "second gold"], {}, 0, resamples=100)
    assert whole.value("second gold", "rf_jsd") is not None
    del models["original"]
    assert (
        audit_table(world.sets, models, ["gold", "second gold"], {}, 0, resamples=100).value("second gold", "rf_jsd")
        is None
    )


def test_worst_class_drop_against_a_slow_loop(cases):
    case = cases["noisy"]
    labels = case.model.sets.labels["test"]

    def accuracy(view, each):
        rows = view.outputs.logits["test"][labels == each]
        return 100 * np.mean([int(z.argmax() == each) for z in rows])

    drops = [np.mean([accuracy(gold, each) for gold in case.golds]) - accuracy(case.model, each) for each in range(10)]
    assert _value("worst_class_drop", case).value == pytest.approx(max(0, *drops))


def test_a_class_paid_with_stands_out_of_the_floor(world, cases, change_logits):
    def spoil(z):
        rows = world.sets.labels["test"] == 4
        z[rows, 4] -= 20
        return z

    golds = cases["original"].golds
    spoilt = View(world.sets, change_logits(world.model(11, "retain"), "test", spoil), 0)
    hurt = _value("worst_class_drop", Case(spoilt, golds, None, 0, 300))
    floor = _value("worst_class_drop", cases["further gold"])
    assert hurt.value > 70 and hurt.low > floor.high
    assert abs(np.mean(spoilt.correct["test"]) - np.mean(golds[0].correct["test"])) < 0.15  # one accuracy hides it


def test_intervals_of_numbers_that_resampling_raises_lie_about_the_value(cases):
    for name in ("rf_jsd", "worst_class_drop"):
        found = _value(name, cases["noisy"])
        assert found.low < found.value - 0.2 * (found.high - found.low) and found.value < found.high


def test_a_model_better_than_its_golds_everywhere_has_no_drop(cases):
    case = cases["further gold"]
    weak = cases["noisy"].model
    assert _value("worst_class_drop", Case(weak, (weak,), None, 0, 300)).value == 0
    assert _value("worst_class_drop", Case(case.model, (weak,), None, 0, 300)).value >= 0


def test_streisand_against_a_slow_loop_and_it_sees_records_driven_out(cases):
    name = "streisand_tpr_at_1pct_fpr"
    view = cases["noisy"].model
    forgotten, unseen = (logit_confidence(view.outputs.logits[s], view.sets.labels[s]) for s in ("forget", "test"))
    rates = [np.mean(forgotten <= t) for t in [*forgotten, -np.inf] if np.mean(unseen <= t) <= 0.01]
    assert _value(name, cases["noisy"]).value == pytest.approx(100 * max(rates))
    floor = _value(name, cases["further gold"])
    assert _value(name, cases["hidden"]).low > floor.high  # over-unlearned: given away by what it no longer says
    assert _value(name, cases["original"]).value <= floor.high  # doing nothing shows in the ordinary attack instead
    assert _value("membership_tpr_at_1pct_fpr", cases["hidden"]).value <= 1


@pytest.mark.parametrize("tiny", [5e-324, 1e-320, 1e-310])
def test_jensen_shannon_of_the_smallest_numbers_is_no_nan(tiny):
    p, q = np.array([1.0, tiny, 0.0]), np.array([1.0, 0.0, tiny])
    assert jensen_shannon(p, q) == 0.0
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([tiny, 1.0])) == pytest.approx(np.log(2))
