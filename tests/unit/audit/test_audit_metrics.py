import numpy as np
import pytest

from tmu.audit.attack import nonmembers
from tmu.audit.metrics import all_metrics, metric
from tmu.audit.outputs import logit_confidence, softmax
from tmu.audit.view import Case, View

DIRECTIONS = {
    "accuracy_forget": ("%", "gold"),
    "accuracy_retain": ("%", "gold"),
    "accuracy_test": ("%", "gold"),
    "ua": ("%", "gold"),
    "mia_efficacy": ("%", "gold"),
    "gap_ua": ("pts", "lower"),
    "gap_ra": ("pts", "lower"),
    "gap_ta": ("pts", "lower"),
    "gap_mia": ("pts", "lower"),
    "average_gap": ("pts", "lower"),
    "activation_distance": ("L2", "lower"),
    "activation_distance_test": ("L2", "lower"),
    "distance_gain": ("L2", "higher"),
    "label_agreement": ("%", "higher"),
    "membership_auc": ("%", "gold"),
    "membership_tpr_at_1pct_fpr": ("%", "gold"),
    "forget_confidence": ("probability", "gold"),
    "rf_jsd": ("1e-4 nats", "lower"),
    "difference_auc": ("%", "gold"),
    "difference_auc_staying": ("%", "gold"),
    "difference_learned_auc": ("%", "gold"),
    "worst_class_drop": ("pts", "lower"),
    "streisand_tpr_at_1pct_fpr": ("%", "gold"),
    "head_ua": ("%", "gold"),
    "head_confidence": ("probability", "gold"),
    "head_distance": ("L2", "lower"),
    "head_distance_gain": ("L2", "higher"),
    "rmia_auc": ("%", "gold"),
    "rmia_tpr_at_1pct_fpr": ("%", "gold"),
    "rmia_tpr_at_01pct_fpr": ("%", "gold"),
    "lira_auc": ("%", "gold"),
    "lira_tpr_at_1pct_fpr": ("%", "gold"),
    "lira_tpr_at_01pct_fpr": ("%", "gold"),
    "relearn_steps": ("steps", "gold"),
    "ain": ("ratio", "gold"),
    "residual_knowledge": ("ratio", "gold"),
    "residual_share": ("%", "gold"),
}


@pytest.fixture(scope="module")
def case(world):
    views = {name: View(world.sets, outputs, seed=0) for name, outputs in world.models().items()}
    model = View(world.sets, world.model(9, "retain", noise=1.5), seed=0)
    return Case(model, (views["gold"], views["second gold"]), views["original"], seed=0, resamples=200)


def _value(name, case):
    return all_metrics()[name].compute(case)


def test_every_metric_declares_the_unit_and_direction_that_we_mean():
    assert {name: (each.unit, each.better) for name, each in all_metrics().items()} == DIRECTIONS


def test_a_name_taken_twice_and_an_unknown_direction_are_refused():
    with pytest.raises(ValueError, match="registered twice"):
        metric("ua", title="", unit="%", better="gold", meaning="")
    with pytest.raises(ValueError, match="better is one of"):
        metric("new", title="", unit="%", better="closer", meaning="")


def _hits(view, name):
    return [int(np.argmax(z) == y) for z, y in zip(view.outputs.logits[name], view.sets.labels[name], strict=True)]


def test_accuracies_against_a_slow_count(case):
    for name in ("forget", "retain", "test"):
        assert _value(f"accuracy_{name}", case).value == pytest.approx(100 * np.mean(_hits(case.model, name)))
    assert _value("ua", case).value == pytest.approx(100 - _value("accuracy_forget", case).value)


def _mia(view):
    kept, unseen, asked = (
        [softmax(z[None])[0, y] for z, y in zip(view.outputs.logits[name], view.sets.labels[name], strict=True)]
        for name in ("retain", "test", "forget")
    )
    return 100 * np.mean(nonmembers(*map(np.array, (kept, unseen, asked)), seed=0))


def test_gaps_and_average_gap_against_the_written_formula(case):
    def numbers(view):
        accuracy = {name: 100 * np.mean(_hits(view, name)) for name in ("forget", "retain", "test")}
        return np.array([100 - accuracy["forget"], accuracy["retain"], accuracy["test"], _mia(view)])

    gaps = np.abs(numbers(case.model) - np.mean([numbers(gold) for gold in case.golds], axis=0))
    found = [_value(name, case).value for name in ("gap_ua", "gap_ra", "gap_ta", "gap_mia")]
    assert found == pytest.approx(gaps)
    assert _value("average_gap", case).value == pytest.approx(gaps.sum() / 4)


def test_distances_and_agreement_against_a_slow_loop(case):
    def slow(name):
        total = []
        for gold in case.golds:
            for a, b in zip(case.model.outputs.logits[name], gold.outputs.logits[name], strict=True):
                total.append(np.sqrt(((softmax(a[None])[0] - softmax(b[None])[0]) ** 2).sum()))
        return np.mean(total)

    assert _value("activation_distance", case).value == pytest.approx(slow("forget"))
    assert _value("activation_distance_test", case).value == pytest.approx(slow("test"))
    same = [
        np.argmax(a) == np.argmax(b)
        for gold in case.golds
        for a, b in zip(case.model.outputs.logits["forget"], gold.outputs.logits["forget"], strict=True)
    ]
    assert _value("label_agreement", case).value == pytest.approx(100 * np.mean(same))


def test_distance_gain_is_the_difference_of_distances_and_sharper_than_their_intervals(case):
    own = _value("activation_distance", case)
    nothing_done = _value("activation_distance", Case(case.original, case.golds, case.original, 0, 200))
    gain = _value("distance_gain", case)
    assert gain.value == pytest.approx(nothing_done.value - own.value)
    hair = Case(View(case.original.sets, case.original.outputs, 0), case.golds, case.original, 0, 200)
    zero = _value("distance_gain", hair)
    assert zero.value == 0 and zero.low < 0 < zero.high


def test_membership_against_a_slow_loop(case):
    view = case.model
    members, strangers = (
        logit_confidence(view.outputs.logits[name], view.sets.labels[name]) for name in ("forget", "test")
    )
    auc = np.mean([(m > s) + 0.5 * (m == s) for m in members for s in strangers])
    assert _value("membership_auc", case).value == pytest.approx(100 * auc)
    rates = [np.mean(members >= t) for t in [*members, np.inf] if np.mean(strangers >= t) <= 0.01]
    assert _value("membership_tpr_at_1pct_fpr", case).value == pytest.approx(100 * max(rates))


def test_forget_confidence_is_a_mean_probability(case):
    rows = zip(case.model.outputs.logits["forget"], case.model.sets.labels["forget"], strict=True)
    assert _value("forget_confidence", case).value == pytest.approx(np.mean([softmax(z[None])[0, y] for z, y in rows]))


def test_numbers_move_in_the_direction_that_forgetting_means(case):
    nothing_done = Case(case.original, case.golds, case.original, 0, 200)
    retrained = Case(case.golds[0], case.golds[1:], case.original, 0, 200)
    for name in ("ua", "mia_efficacy", "label_agreement", "distance_gain"):
        assert _value(name, nothing_done).high < _value(name, retrained).low
    for name in ("membership_auc", "membership_tpr_at_1pct_fpr", "average_gap", "forget_confidence"):
        assert _value(name, nothing_done).low > _value(name, retrained).high
    assert _value("activation_distance", nothing_done).value > _value("activation_distance", retrained).high


def test_average_gap_of_a_tiny_forget_set_is_not_called_certain(make_world):
    world = make_world(forget=2, retain=500, test=500)
    golds = [View(world.sets, world.model(seed, "retain"), 0) for seed in (2, 3)]
    found = _value("average_gap", Case(golds[1], (golds[0],), None, 0, 200))
    assert found.high > 25  # both records could have differed in UA and in MIA
    large = make_world(forget=500, retain=500, test=500)
    golds = [View(large.sets, large.model(seed, "retain"), 0) for seed in (2, 3)]
    assert _value("average_gap", Case(golds[1], (golds[0],), None, 0, 200)).high < 6
