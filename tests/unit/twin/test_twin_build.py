"""The whole twin problem: who is trained on what, who is asked about what, and what the report says."""

import dataclasses
import json
import time

import pytest
import torch

from tests.synthetic import MEMORISE, SEEDS, TWIN, same_weights, tiny_net, weights_of
from tmu.train import fit, logits_of
from tmu.twin import twin as twin_room
from tmu.twin.features import compute_features
from tmu.twin.target import TERMS, terms_of
from tmu.twin.twin import build_twin


def _build(solved, trainer=fit, *, config=TWIN, recipe=MEMORISE):
    def fresh(number: int):
        return tiny_net(100 + number)

    given = (solved.original, fresh, solved.train, solved.holdout, config, SEEDS, trainer, time.perf_counter)
    return build_twin(*given, original_recipe=recipe)


@pytest.fixture(scope="module")
def watched(solved):
    """One more building of the same twin: all trainings, what its parts were given and what they gave back."""
    seen = {"runs": []}

    def train(model, examples, recipe, seeds):
        seen["runs"].append((weights_of(model), examples, recipe, seeds))
        return fit(model, examples, recipe, seeds)

    def watch(patch: pytest.MonkeyPatch, name: str) -> None:
        real = getattr(twin_room, name)

        def call(*args, **kwargs):
            given = real(*args, **kwargs)
            seen[name], seen[f"{name} gave"] = args, given
            return given

        patch.setattr(twin_room, name, call)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("fit_predictor", "fit_targets", "random_side", "compute_features", "predictor_quality"):
            watch(patch, name)
        seen["twin"], seen["report"] = _build(solved, train)
    return seen


def test_curriculum_nets_start_fresh_and_see_both_sets(solved, watched):
    """The published code shows them one side only."""
    twin = watched["twin"]
    curriculum = [run for run in watched["runs"] if run[2].epochs == TWIN.curriculum_epochs]
    assert len(curriculum) == len(twin.curriculum) == TWIN.curriculum_nets
    keys = torch.cat([solved.train.keys, solved.holdout.keys])
    labels = torch.cat([solved.train.labels, solved.holdout.labels])
    for index, (start, examples, recipe, _) in enumerate(curriculum):
        assert same_weights(start, weights_of(tiny_net(100 + index)))
        assert torch.equal(examples.keys, keys)
        assert torch.equal(examples.labels, labels)
        assert examples.targets is None
        assert recipe.lr == TWIN.train.lr
    assert curriculum[0][3] != curriculum[1][3]  # each in an order of its own
    assert not same_weights(*(weights_of(net) for net in twin.curriculum))


def test_the_cross_fit_models_are_trained_as_the_original_was_and_never_see_the_hold_out(solved, watched):
    twin = watched["twin"]
    cross_fit = [run for run in watched["runs"] if run[2] == MEMORISE]
    assert len(cross_fit) == len(twin.cross_fit.nets) == 2
    trained = [set(examples.keys.tolist()) for _, examples, _, _ in cross_fit]
    assert not trained[0] & trained[1]
    assert trained[0] | trained[1] == set(solved.train.keys.tolist())
    assert not (trained[0] | trained[1]) & set(solved.holdout.keys.tolist())
    for number, (start, examples, _, seeds) in enumerate(cross_fit):
        assert same_weights(start, weights_of(tiny_net(1100 + number)))  # not as the curriculum nets started
        assert seeds not in [SEEDS, *(run[3] for run in watched["runs"] if run[1] is not examples)]


@pytest.mark.parametrize("given", [{"cross_fit": False}, {"recipe": None}])
def test_without_cross_fit_models_or_a_recipe_for_them_nothing_more_is_trained(solved, given):
    sizes = []

    def watch(model, examples, recipe, seeds):
        sizes.append(len(examples))
        return fit(model, examples, recipe, seeds)

    hasty = {"max_rounds": 1, "accuracy_tolerance": 1.0, "confidence_tolerance": 1.0, "predictor_epochs": 5}
    hasty |= {"train": TWIN.train.model_copy(update={"epochs": 1}), "cross_fit": given.get("cross_fit", True)}
    recipe = given.get("recipe", MEMORISE)
    twin, _ = _build(solved, watch, config=TWIN.model_copy(update=hasty), recipe=recipe)
    assert sizes == [480] * (1 + TWIN.curriculum_nets)
    assert twin.cross_fit is None
    side = twin.side(solved.original, solved.train.take(torch.arange(240) < 48), solved.train, "cpu")
    assert side.unseen is None
    assert float(twin.targets.a[0]) == 0
    assert twin.targets.probabilities(side).sum(1).tolist() == pytest.approx([1.0] * 48, abs=1e-5)


def test_the_labels_are_the_originals_and_the_features_the_twins(solved, watched):
    """Labels of "wrong" come from the model that has not seen the hold-out, features from the one that has."""
    (side,) = watched["compute_features"]
    features, _, wrong, *_ = watched["fit_predictor"]
    assert torch.equal(wrong, logits_of(solved.original, solved.holdout.images).argmax(1) != solved.holdout.labels)
    assert watched["report"].quality["n_wrong"] == int(wrong.sum()) > 10
    assert side.model is watched["twin"].model
    assert torch.equal(side.samples.keys, solved.holdout.keys)
    assert torch.equal(side.reference_labels, solved.train.labels)
    assert torch.equal(features, compute_features(side))


def test_quality_is_measured_on_what_the_predictor_says_of_records_it_was_not_fitted_on(solved, watched):
    predictor, held_out = watched["fit_predictor gave"]
    assert torch.equal(torch.from_numpy(watched["predictor_quality"][0]), held_out)
    features = watched["fit_predictor"][0]
    assert not torch.allclose(held_out, predictor.p_wrong(features, solved.holdout.labels), atol=0.01)


def test_targets_are_fitted_on_the_hold_out_to_the_original_and_the_half_that_was_not_asked(solved, watched):
    f, labels, original, other, _ = watched["fit_targets"]
    (side,), cross_fit = watched["compute_features"], watched["twin"].cross_fit
    assert torch.equal(f, terms_of(side))
    assert torch.equal(labels, solved.holdout.labels)
    assert torch.equal(original, logits_of(solved.original, solved.holdout.images))
    assert torch.equal(other, cross_fit.other(solved.holdout))
    assert torch.equal(f[:, :, TERMS.index("unseen")], cross_fit.unseen(solved.holdout))
    assert not torch.allclose(other, f[:, :, TERMS.index("unseen")], atol=0.1)  # never the half it is compared with


def test_margins_are_calibrated_on_random_records_of_d_under_the_original(solved, watched):
    side, (f, labels) = watched["random_side gave"], watched["fit_targets"][4]
    assert side.model is solved.original
    assert torch.equal(f, terms_of(side))
    assert torch.equal(labels, side.samples.labels)
    rows = (side.samples.keys[:, None] == solved.train.keys).int().argmax(1)
    assert torch.equal(solved.train.keys[rows], side.samples.keys)
    assert len(set(rows.tolist())) == 80  # a third of D ...
    assert rows.float().mean() > 90  # ... drawn from all of it
    rest = torch.ones(240, dtype=torch.bool).index_fill(0, rows, False)
    assert torch.equal(side.reference_labels, solved.train.labels[rest])
    assert torch.equal(side.unseen, watched["twin"].cross_fit.unseen(side.samples))


def test_every_term_has_a_coefficient_and_no_model_is_fitted_that_no_deletion_uses(watched):
    assert (watched["twin"].targets.a != 0).all()
    assert "ablated" not in {field.name for field in dataclasses.fields(watched["twin"])}


def test_easy_and_hard_confidence_are_those_of_the_original_on_the_hold_out(solved):
    p = logits_of(solved.original, solved.holdout.images).softmax(1)
    right = [float(p[i, y]) for i, y in enumerate(solved.holdout.labels) if int(p[i].argmax()) == int(y)]
    assert solved.twin.easy_confidence == pytest.approx(sum(right) / len(right), rel=1e-4)
    wrong = [i for i, y in enumerate(solved.holdout.labels) if int(p[i].argmax()) != int(y)]
    of_true = sum(float(p[i, solved.holdout.labels[i]]) for i in wrong) / len(wrong)
    of_answer = sum(float(p[i].max()) for i in wrong) / len(wrong)
    assert solved.twin.hard_confidence == pytest.approx((of_true, of_answer), rel=1e-4)
    assert solved.twin.easy_confidence < solved.report.gate.original_on_train.confidence


def test_the_report_is_json_and_counts_every_part(solved):
    text = json.dumps(dataclasses.asdict(solved.report))
    assert '"n": 240' in text
    assert set(solved.report.seconds) == {"twin_model", "curriculum_nets", "cross_fit_models", "predictor"}
    assert all(seconds > 0 for seconds in solved.report.seconds.values())


def test_the_predictor_tells_hard_from_easy_here(solved):
    assert solved.report.quality["auroc"] > 0.7
    assert solved.report.quality["brier"] < solved.report.quality["brier_all_easy"]


def test_building_twice_gives_the_same_twin(solved, watched):
    first = watched["twin"]
    assert same_weights(weights_of(first.model), weights_of(solved.twin.model))
    for name, value in first.predictor.state().items():
        assert torch.equal(value, solved.twin.predictor.state()[name])
    assert torch.equal(first.targets.a, solved.twin.targets.a)
    assert torch.equal(first.targets.margins.shift, solved.twin.targets.margins.shift)
    for mine, known in zip(first.cross_fit.nets, solved.twin.cross_fit.nets, strict=True):
        assert same_weights(weights_of(mine), weights_of(known))


def test_p_wrong_of_a_real_side_is_a_probability_and_ranks_the_noisy_ones(solved):
    rows = torch.arange(240)
    side = solved.twin.side(solved.original, solved.train.take(rows < 80), solved.train.take(rows >= 80), "cpu")
    p = solved.twin.p_wrong(side)
    assert ((p > 0) & (p < 1)).all()
    assert float(p.std()) > 0.05
