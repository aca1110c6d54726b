"""RMIA and LiRA with the golds as references: against slow loops, the fleet's functions, and the bootstrap."""

import time

import numpy as np
import pytest

from tmu.audit.bootstrap import interval
from tmu.audit.fleet.lira import lira_offline_scores
from tmu.audit.fleet.rmia import rmia_scores
from tmu.audit.metrics import all_metrics
from tmu.audit.outputs import Outputs, Sets, logit_confidence, true_class_probability
from tmu.audit.roc import area, area_value, resampled_tallies, tpr_at, tpr_value
from tmu.audit.table import audit_table
from tmu.audit.view import Case, View
from tmu.errors import DataError

ATTACKS = ("rmia", "lira")
NUMBERS = [f"{attack}_{number}" for attack in ATTACKS for number in ("auc", "tpr_at_1pct_fpr", "tpr_at_01pct_fpr")]


def _case(world, model, golds=(2, 3, 4), leave_one_out=False):
    views = [View(world.sets, world.model(seed, "retain"), 0) for seed in golds]
    return Case(View(world.sets, model, 0), tuple(views), None, 0, 300, leave_one_out=leave_one_out)


def _value(name, case):
    return all_metrics()[name].compute(case)


def _slow(view, golds, attack):
    scores = {}
    for part in ("forget", "test"):
        labels = view.sets.labels[part]
        p, *refs = (true_class_probability(v.outputs.logits[part], labels) for v in (view, *golds))
        c, *logits = (logit_confidence(v.outputs.logits[part], labels) for v in (view, *golds))
        rmia = [a / (0.65 * np.mean(b) + 0.35) for a, b in zip(p, np.transpose(refs), strict=True)]
        lira = [a - np.mean(b) for a, b in zip(c, np.transpose(logits), strict=True)]
        scores[part] = np.array(rmia if attack == "rmia" else lira)
    members, strangers = scores["forget"], scores["test"]
    auc = np.mean([(m > s) + 0.5 * (m == s) for m in members for s in strangers])
    rates = {}
    for fpr in (0.01, 0.001):
        allowed = [t for t in [*members, np.inf] if np.mean(strangers >= t) <= fpr]
        rates[fpr] = max(np.mean(members >= t) for t in allowed)
    return [100 * auc, 100 * rates[0.01], 100 * rates[0.001]]


@pytest.mark.parametrize("attack", ATTACKS)
def test_against_slow_loops_and_averaged_over_the_references_that_are_faced(world, attack):
    model = world.model(9, "retain", noise=1.5)
    names = [name for name in NUMBERS if name.startswith(attack)]
    plain, left_out = _case(world, model), _case(world, model, leave_one_out=True)
    assert [_value(name, plain).value for name in names] == pytest.approx(_slow(plain.model, plain.golds, attack))
    mean = np.mean([_slow(left_out.model, golds, attack) for golds in left_out.faced], axis=0)
    assert len(left_out.faced) == 3
    assert [_value(name, left_out).value for name in names] == pytest.approx(mean)


def test_the_published_score_ranks_as_the_ratio_does(world):
    """`rmia_scores` with the test set as population and gamma 1."""
    case = _case(world, world.model(9, "forget", "retain", noise=1.5))
    forget = rmia_scores(*_signals(case, "forget"), *_population(case))
    test = rmia_scores(*_signals(case, "test"), *_population(case))
    published = np.mean([(m > s) + 0.5 * (m == s) for m in forget for s in test])
    assert _value("rmia_auc", case).value == pytest.approx(100 * published, abs=0.5)  # steps of 1 / 400


def _signals(case, part):
    references = np.stack([gold.confidence[part] for gold in case.golds])
    return case.model.confidence[part], references, np.ones_like(references, dtype=bool)


def _population(case):
    return _signals(case, "test")[:2]


def test_a_shared_variance_changes_no_rank():
    rng = np.random.default_rng(0)
    observed, out = rng.normal(size=50), rng.normal(size=(3, 50))
    scores = lira_offline_scores(observed, out)
    assert scores == pytest.approx(observed - out.mean(axis=0))
    from scipy.stats import norm

    tail = norm.cdf(observed, out.mean(axis=0), 0.7)
    assert (np.argsort(tail) == np.argsort(scores)).all()
    with pytest.raises(DataError, match="shapes"):
        lira_offline_scores(observed, out[:, :-1])


def test_they_find_what_was_left_and_nothing_under_a_retrain(world):
    for name in ("rmia_auc", "lira_auc"):
        left, clean = (
            _value(name, _case(world, world.model(9, *seen))) for seen in (("forget", "retain"), ("retain",))
        )
        assert left.low > 60 and clean.low < 50 < clean.high, name
    hidden = world.model(9, "retain")
    rows = np.arange(len(world.sets.labels["forget"]))
    hidden.logits["forget"][rows, world.sets.labels["forget"]] -= 9
    assert _value("rmia_auc", _case(world, hidden)).high < 30  # the Streisand effect is far below one half


def test_they_see_through_the_ease_of_a_record_where_the_plain_attack_does_not(world):
    """A model a little surer of forgotten records than golds are: hidden by ease in the plain attack."""
    rows, labels = np.arange(200), world.sets.labels["forget"]
    model = world.model(9, "retain", noise=0.1)
    model.logits["forget"][rows, labels] += 0.8
    case = _case(world, model)
    assert _value("lira_auc", case).low > _value("membership_auc", case).value + 5


def test_two_golds_face_one_reference_each_and_the_table_has_their_own_values(world):
    models = {**world.models(), "tmu": world.model(7, "retain")}
    table = audit_table(world.sets, models, ["gold", "second gold"], {}, 0, resamples=100)
    for name in NUMBERS:
        assert all(table.value(row, name) is not None for row in table.rows)
    assert table.value("original", "rmia_auc").low > table.floor("rmia_auc").high
    alone = audit_table(world.sets, models, ["gold"], {}, 0, resamples=100)
    assert alone.value("gold", "rmia_auc") is None and alone.value("tmu", "rmia_auc") is not None


def test_delongs_interval_agrees_with_the_bootstrap():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0.7, 1, (1, 150)), rng.normal(0, 1, (1, 300))
    found = area_value(ours, theirs, 1000)
    drawn = np.concatenate([area(*b) for b in resampled_tallies(ours[0], theirs[0], 3000, rng)])
    by_bootstrap = interval(found.value, 100 * drawn, 150, (0, 100))
    assert (found.low, found.high) == pytest.approx((by_bootstrap.low, by_bootstrap.high), abs=0.8)


@pytest.mark.parametrize("fpr", [0.01, 0.05])
def test_the_drawn_threshold_agrees_with_resampled_records(fpr):
    rng = np.random.default_rng(1)
    ours, theirs = rng.normal(1.5, 1, (1, 150)), rng.normal(0, 1, (1, 300))
    found = tpr_value(fpr, ours, theirs, 3000, seed=0)
    drawn = np.concatenate([tpr_at(fpr, *b) for b in resampled_tallies(ours[0], theirs[0], 3000, rng)])
    slow = interval(found.value, 100 * drawn, 150, (0, 100))
    assert found.value == pytest.approx(100 * np.mean(ours[0] > np.sort(theirs[0])[::-1][int(fpr * 300)]))
    assert (found.low, found.high) == pytest.approx((slow.low, slow.high), abs=4)


def test_two_attacks_on_the_same_records_count_what_they_share_once():
    rng = np.random.default_rng(2)
    ours, theirs = rng.normal(0.5, 1, 200), rng.normal(0, 1, 200)
    one, twice = (area_value(np.stack([ours] * n), np.stack([theirs] * n), 500) for n in (1, 2))
    assert (one.value, one.low, one.high) == pytest.approx((twice.value, twice.low, twice.high))


@pytest.mark.parametrize("records", [1, 2])
def test_a_record_or_two_prove_nothing(make_world, records):
    world = make_world(forget=records, retain=50, test=200)
    for name in NUMBERS:
        found = _value(name, _case(world, world.model(9, "forget", "retain")))
        assert found.low <= found.value <= found.high and found.high - found.low > 20, name


def test_they_are_cheap_at_the_size_of_a_benchmark():
    rng = np.random.default_rng(0)
    sizes = {"forget": 1200, "retain": 1000, "test": 5000}
    sets = Sets({name: rng.integers(0, 10, n) for name, n in sizes.items()})
    views = [
        View(sets, Outputs({name: rng.normal(size=(n, 10)).astype(np.float32) for name, n in sizes.items()}), 0)
        for _ in range(3)
    ]
    case = Case(views[0], tuple(views[1:]), None, 0, 1000, leave_one_out=True)
    _value("rmia_auc", case), _value("lira_auc", case)  # derived outputs are computed once
    started = time.process_time()
    for name in NUMBERS:
        _value(name, case)
    assert time.process_time() - started < 0.3
