"""What must hold for any outputs whatever: ranges, finite intervals, invariances."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tmu.audit.bootstrap import mean_value
from tmu.audit.metrics import all_metrics
from tmu.audit.outputs import Outputs, Sets, logit_confidence, softmax
from tmu.audit.roc import area, tally, tpr_at
from tmu.audit.view import Case, View

SPANS = {
    "%": (0, 100),
    "pts": (0, 100),
    "probability": (0, 1),
    "L2": (-np.sqrt(2), np.sqrt(2)),
    "1e-4 nats": (0, 1e4 * np.log(2)),
}


@st.composite
def audits(draw):
    """Sets of 1 to 12 records, 2 to 4 classes, four models with anything between equal and extreme logits."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    classes, scale = draw(st.integers(2, 4)), draw(st.sampled_from([0.0, 1.0, 300.0]))
    sizes = {name: draw(st.integers(1, 12)) for name in ("forget", "retain", "test")}
    sets = Sets({name: rng.integers(0, classes, n) for name, n in sizes.items()})
    return sets, [
        Outputs({name: rng.normal(0, scale, (n, classes)).astype(np.float32) for name, n in sizes.items()})
        for _ in range(4)
    ]


def _case(sets, models):
    model, first, second, original = (View(sets, each, seed=0) for each in models)
    return Case(model, (first, second), original, seed=0, resamples=100)


@settings(deadline=None, max_examples=40)
@given(audits())
def test_every_metric_is_finite_ordered_and_in_its_span(audit):
    case = _case(*audit)
    for name, each in all_metrics().items():
        if not each.possible(case):
            # no class in both sets; too few records to learn from. All others exist for any records
            assert each.needs_probes or each.name in ("rf_jsd", "difference_learned_auc")
            continue
        value = each.compute(case)
        low, high = SPANS[each.unit]
        around = 1e-9 * max(1, abs(value.value))  # the bounds are sums in another order
        assert low - 1e-9 <= value.low <= value.value + around, name
        assert value.value - around <= value.high <= high + 1e-9 * max(1, abs(high)), name


@settings(deadline=None, max_examples=25)
@given(audits(), st.floats(-50, 50))
def test_a_constant_added_to_the_logits_changes_no_metric(audit, constant):
    sets, (model, *others) = audit
    # on a grid that float32 adds exactly, so that nothing but the constant differs
    gridded = {name: np.round(z * 4) / 4 for name, z in model.logits.items()}
    shifted = {name: (z + np.round(constant)).astype(np.float32) for name, z in gridded.items()}
    plain, moved = (_case(sets, [Outputs(each), *others]) for each in (gridded, shifted))
    for name in ("ua", "label_agreement", "activation_distance", "membership_auc", "forget_confidence"):
        compute = all_metrics()[name].compute
        assert np.isclose(compute(plain).value, compute(moved).value), name


@settings(deadline=None, max_examples=25)
@given(audits())
def test_a_model_equal_to_its_golds_has_no_distance_and_no_gap(audit):
    sets, (model, *_) = audit
    case = _case(sets, [model] * 4)
    metrics = all_metrics()
    for name in ("gap_ua", "gap_ra", "gap_ta", "gap_mia", "average_gap", "activation_distance", "distance_gain"):
        assert metrics[name].compute(case).value == 0
    assert metrics["label_agreement"].compute(case).value == 100


scores = st.lists(st.integers(-5, 5), min_size=1, max_size=30).map(np.array)


@given(scores, scores)
def test_area_mirrors_and_ignores_any_increasing_map(positives, negatives):
    both, claimed = np.concatenate([positives, negatives]), np.repeat([1, 0], [len(positives), len(negatives)])
    found = area(*tally(both, claimed))
    assert np.isclose(found, 1 - area(*tally(both, 1 - claimed)))
    assert np.isclose(found, area(*tally(np.exp(both / 3), claimed)))


@given(scores, scores)
def test_tpr_grows_with_the_allowed_fpr_up_to_one(positives, negatives):
    counted = tally(np.concatenate([positives, negatives]), np.repeat([1, 0], [len(positives), len(negatives)]))
    rates = [tpr_at(fpr, *counted) for fpr in (0, 0.01, 0.3, 0.9, 1.0)]
    assert rates == sorted(rates) and rates[0] >= 0 and rates[-1] == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(0, 5))
def test_intervals_hold_their_value_and_never_vanish(values, seed):
    value = mean_value(np.array(values), (0.0, 1.0), 100, seed)
    assert 0 <= value.low <= value.value <= value.high <= 1
    assert value.low < value.high


@given(st.integers(0, 1000), st.floats(0.1, 100))
def test_logit_confidence_orders_as_the_probability_does(seed, scale):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(0, scale, (6, 3)).astype(np.float32), rng.integers(0, 3, 6)
    confidence = logit_confidence(logits, labels)
    assert np.isfinite(confidence).all()
    probability = softmax(logits)[np.arange(6), labels]
    assert (np.diff(probability[np.argsort(confidence)]) >= -1e-12).all()
