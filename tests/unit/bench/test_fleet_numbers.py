"""Numbers over fleets: planted laws are told apart, equal ones are not, and the intervals hold what they should."""

from functools import cache

import numpy as np
import pytest

from bench.runner import fleet
from bench.runner.fleet_numbers import Fleets, Side, about, floors, numbers
from bench.runner.jackknife import GROUPS, equal_groups, estimate, half_widths, spread
from tmu.audit.fleet.rmia import rmia_ratios
from tmu.audit.roc import area, tally
from tmu.errors import DataError

MODELS = 16
SIZES = {"forget": 40, "retain": 50, "test": 120}
MEAN = {name: np.random.default_rng(99).normal(3, 2, size) for name, size in SIZES.items()}


def side(seed, shift=0.0, models=MODELS):
    """Margins around each record's own mean; the forget set's lie `shift` standard deviations higher."""
    rng = np.random.default_rng(seed)
    margins = {name: mean + rng.normal(0, 1, (models, len(mean))) for name, mean in MEAN.items()}
    margins["forget"] += shift
    return Side(margins, {name: values > 0 for name, values in margins.items()})


@cache
def measured(shift):
    fleets = Fleets(side(1, shift), side(2, 3.0), side(3))
    return numbers(fleets) | floors(fleets, side(4))


def test_a_row_of_the_golds_law_is_not_told_from_them():
    found = measured(0.0)
    assert found["klom_forget"] == pytest.approx(found["klom_forget_floor"], rel=0.2)
    assert found["forgetting_score"] == pytest.approx(found["forgetting_score_null"], abs=0.06)
    for metric in ("ulira_accuracy", "ulira_auc", "lira_online_auc", "lira_auc", "rmia_auc"):
        assert found[metric] == pytest.approx(50, abs=5), metric


def test_a_row_that_still_knows_the_records_is_flagged_by_every_number():
    honest, lazy = measured(0.0), measured(2.0)
    assert lazy["klom_forget"] > 1.3 * lazy["klom_forget_floor"]
    assert lazy["forgetting_score"] < lazy["forgetting_score_null"] / 3
    for metric in ("ulira_accuracy", "ulira_auc", "lira_online_auc", "lira_auc", "rmia_auc"):
        assert lazy[metric] > 60, metric
    for metric in ("rmia_tpr_at_1pct_fpr", "lira_tpr_at_1pct_fpr", "lira_online_tpr_at_1pct_fpr"):
        assert lazy[metric] > honest[metric] + 2, metric
    assert [lazy[name] for name in ("klom_retain", "klom_test")] == [honest["klom_retain"], honest["klom_test"]]
    assert lazy["klom_forget_p95"] > lazy["klom_forget"] > 0


def test_a_row_that_forgot_too_much_stands_out():
    found = measured(-2.0)
    assert found["klom_forget"] > 1.3 * found["klom_forget_floor"]
    assert found["ulira_accuracy"] > 60
    assert found["rmia_auc"] < 40


def test_the_golds_themselves_get_the_best_values():
    gold = side(3)
    found = numbers(Fleets(gold, side(2, 3.0), gold))
    assert [found[f"klom_{name}"] for name in SIZES] == [0, 0, 0]
    assert found["ulira_accuracy"] == found["ulira_auc"] == found["lira_online_auc"] == 50
    assert found["forgetting_score"] == found["challenge_score"] == 1


def test_no_model_is_a_shadow_of_its_own_attack():
    """Originals that learned nothing, as the row: an attack whose shadows hold its target would find them."""
    found = [numbers(Fleets(*[side(10 * seed + 1)] * 2, side(10 * seed + 2)))["lira_online_auc"] for seed in range(3)]
    assert np.mean(found) == pytest.approx(50, abs=4)


def test_rmia_is_the_mean_over_the_models_with_every_gold_as_reference():
    fleets, aucs = Fleets(side(1, 1.0), side(2), side(3)), []

    def probability(values):
        return 1 / (1 + np.exp(-values))

    for model in range(MODELS):
        ratios = [
            rmia_ratios(
                probability(fleets.row.margins[name][model]), probability(fleets.gold.margins[name]).mean(axis=0)
            )
            for name in ("forget", "test")
        ]
        aucs.append(area(*tally(np.concatenate(ratios), np.repeat([1, 0], [len(each) for each in ratios]))))
    assert numbers(fleets)["rmia_auc"] == pytest.approx(100 * np.mean(aucs), abs=0.5)  # ties with the population


def test_the_challenge_score_pays_for_lost_accuracy():
    gold, row = side(3), side(3)
    row.right["retain"][:, ::2] = False
    found = numbers(Fleets(row, side(2), gold))
    kept = row.right["retain"].mean() / gold.right["retain"].mean()
    assert found["challenge_score"] == pytest.approx(found["forgetting_score"] * kept)


def test_every_number_has_an_interval_within_its_span_and_a_unit():
    found = fleet.with_intervals(Fleets(side(1, 0.5, 6), side(2, 3.0, 6), side(3, 0.0, 6)), side(4, 0.0, 6))
    values = {metric: value for metric, value, _ in found}
    units = {metric: unit for metric, _, unit in found}
    points = [metric for metric in values if not metric.endswith(("_low", "_high", "_floor", "_null"))]
    assert len(points) > 10
    for metric in points:
        (low, high), unit = about(metric)[1], about(metric)[0]
        assert low <= values[f"{metric}_low"] <= values[metric] <= values[f"{metric}_high"] <= high
        assert values[f"{metric}_low"] < values[f"{metric}_high"]
        assert units[metric] == unit == units[f"{metric}_low"]
    assert (units["klom_forget_floor"], units["ulira_accuracy"], units["forgetting_score_null"]) == ("nats", "%", "")


def test_a_fleet_that_gives_no_finite_numbers_is_refused():
    broken = side(1)
    broken.margins["forget"][3, 5] = np.nan
    with pytest.raises(DataError, match="finite"):
        numbers(Fleets(broken, side(2), side(3)))


def test_without_some_records_every_number_is_that_of_the_rest():
    """Epsilons are handed on to the samples with fewer records, and must be those of the records that are left."""
    models, records = Fleets(side(1, 1.0), side(2), side(3)).cuts()
    for cut in (models[2], records[2]):
        again = Fleets(cut.row, cut.original, cut.gold)
        assert numbers(cut) == numbers(again)
    assert len(records[0].epsilons) == SIZES["forget"] - SIZES["forget"] // GROUPS
    assert len(models[0].row.right["test"]) == MODELS - MODELS // GROUPS


def table_axes(values):
    """A two-way table without each group of rows, and of columns."""
    rows, columns = equal_groups(len(values)), np.arange(values.shape[1]) % GROUPS
    return [
        [values[rows != group] for group in range(rows.max() + 1)],
        [values[:, columns != group] for group in range(GROUPS)],
    ]


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(0).normal(0, 1, 12)
    without = np.array([np.delete(values, place).mean() for place in range(12)])
    assert spread(without) == pytest.approx(values.std(ddof=1) / np.sqrt(12))


def test_intervals_hold_the_truth_where_models_and_records_both_vary():
    hits = {"both": 0, "records": 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        values = rng.normal(0, 1, (16, 1)) + rng.normal(0, 1, (1, 40)) + rng.normal(0, 1, (16, 40))
        axes = table_axes(values)
        for name, chosen in (("both", axes), ("records", axes[1:])):
            hits[name] += abs(values.mean()) <= half_widths(lambda x: {"mean": float(x.mean())}, chosen)["mean"]
    assert hits["both"] >= 184
    assert hits["records"] < 160  # the control: records alone promise too much


@pytest.mark.parametrize("models", [4, 5, 8, 9, 16, 26, 30, 32, 37, 100, 128])
def test_groups_of_models_are_of_one_size(models):
    sizes = np.bincount(equal_groups(models))
    assert len(set(sizes)) == 1
    assert len(sizes) >= min(GROUPS, models)
    assert len(sizes) == {32: 8, 30: 10, 100: 10, 37: 37, 4: 4}.get(models, len(sizes))


def test_where_nothing_varies_the_interval_is_not_empty():
    none_found = estimate(0.0, 0.0, 40, (0.0, 100.0))
    assert (none_found.low, none_found.value) == (0.0, 0.0)
    assert none_found.high == pytest.approx(100 * (1 - 0.025 ** (1 / 40)))
    wide = estimate(99.0, 5.0, 40, (0.0, 100.0))
    assert (wide.low, wide.high) == (94.0, 100.0)


def test_too_few_records_for_an_interval_are_refused():
    one = {name: values[:, :1] for name, values in side(1).margins.items()}
    single = Side(one, {name: values > 0 for name, values in one.items()})
    with pytest.raises(DataError, match="too few"):
        half_widths(numbers, Fleets(single, single, single).cuts()[1:])
