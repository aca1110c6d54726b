"""The whole twin problem: who is trained on what, who is asked about what, and what the report says."""

import dataclasses
import json
import time

import pytest
import torch

from tests.synthetic import SEEDS, TWIN, same_weights, tiny_net, weights_of
from tmu.train import fit, logits_of
from tmu.twin import twin as twin_room
from tmu.twin.features import compute_features
from tmu.twin.twin import build_twin


def _build(solved, trainer=fit, seeds=SEEDS):
    fresh = [tiny_net(100), tiny_net(101)].__getitem__
    return build_twin(
        solved.original, fresh, solved.train, solved.holdout, TWIN, seeds, trainer, time.perf_counter
    )  # fmt: skip


def test_curriculum_nets_start_fresh_and_see_both_sets(solved):
    """The published code shows them one side only."""
    runs = []

    def watch(model, examples, recipe, seeds):
        runs.append((weights_of(model), examples, recipe, seeds))
        return fit(model, examples, recipe, seeds)

    twin, _ = _build(solved, watch)
    curriculum = [run for run in runs if run[2].epochs == TWIN.curriculum_epochs]
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


def test_the_labels_are_the_originals_and_the_features_the_twins(solved, monkeypatch):
    """Labels of "wrong" come from the model that has not seen the hold-out, features from the one that has."""
    seen = {}
    real_predictor, real_targets = twin_room.fit_predictor, twin_room.fit_targets

    def predictor(features, labels, wrong, classes, config, seed):
        seen.update(features=features, wrong=wrong, classes=classes)
        seen["fitted"] = real_predictor(features, labels, wrong, classes, config, seed)
        return seen["fitted"]

    def targets(side, p_wrong, unseen):
        seen.update(side=side, p_wrong=p_wrong, unseen=unseen)
        return real_targets(side, p_wrong, unseen)

    monkeypatch.setattr(twin_room, "fit_predictor", predictor)
    monkeypatch.setattr(twin_room, "fit_targets", targets)
    twin, report = _build(solved)
    unseen = logits_of(solved.original, solved.holdout.images)
    wrong = unseen.argmax(1) != solved.holdout.labels
    assert torch.equal(seen["wrong"], wrong)
    assert torch.equal(seen["unseen"], unseen)
    assert report.quality["n_wrong"] == int(wrong.sum()) > 10
    assert seen["side"].model is twin.model
    assert torch.equal(seen["side"].samples.keys, solved.holdout.keys)
    assert torch.equal(seen["side"].reference_labels, solved.train.labels)
    assert torch.equal(seen["features"], compute_features(seen["side"]))
    # the target model must not be fitted on what the predictor says of its own training records
    predictor, held_out = seen["fitted"]
    assert torch.equal(seen["p_wrong"], held_out)
    assert not torch.allclose(held_out, predictor.p_wrong(seen["features"], solved.holdout.labels), atol=0.01)


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
    assert set(solved.report.seconds) == {"twin_model", "curriculum_nets", "predictor"}
    assert all(seconds > 0 for seconds in solved.report.seconds.values())


def test_the_predictor_tells_hard_from_easy_here(solved):
    assert solved.report.quality["auroc"] > 0.7
    assert solved.report.quality["brier"] < solved.report.quality["brier_all_easy"]


def test_building_twice_gives_the_same_twin(solved):
    first, _ = _build(solved)
    assert same_weights(weights_of(first.model), weights_of(solved.twin.model))
    for name, value in first.predictor.state().items():
        assert torch.equal(value, solved.twin.predictor.state()[name])
    assert torch.equal(first.targets.a, solved.twin.targets.a)


def test_p_wrong_of_a_real_side_is_a_probability_and_ranks_the_noisy_ones(solved):
    rows = torch.arange(240)
    side = solved.twin.side(solved.original, solved.train.take(rows < 80), solved.train.take(rows >= 80), "cpu")
    p = solved.twin.p_wrong(side)
    assert ((p > 0) & (p < 1)).all()
    assert float(p.std()) > 0.05
