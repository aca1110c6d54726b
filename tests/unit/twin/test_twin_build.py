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


def _build(solved, trainer=fit):
    def fresh(number: int):
        return tiny_net(100 + number)

    return build_twin(solved.original, fresh, solved.train, solved.holdout, TWIN, SEEDS, trainer, time.perf_counter)


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
        for name in ("fit_predictor", "compute_features", "predictor_quality"):
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


def test_no_network_is_trained_beside_the_twin_model_and_the_curriculum_nets(solved, watched):
    """Every training sees D and the hold-out alike: none is a way to a model that never saw a record of D."""
    keys = set(torch.cat([solved.train.keys, solved.holdout.keys]).tolist())
    assert [set(run[1].keys.tolist()) == keys for run in watched["runs"]] == [True] * len(watched["runs"])
    assert len(watched["runs"]) == solved.report.gate.rounds + TWIN.curriculum_nets


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


def test_building_twice_gives_the_same_twin(solved, watched):
    first = watched["twin"]
    assert same_weights(weights_of(first.model), weights_of(solved.twin.model))
    for name, value in first.predictor.state().items():
        assert torch.equal(value, solved.twin.predictor.state()[name])


def test_p_wrong_of_a_real_side_is_a_probability_and_ranks_the_noisy_ones(solved):
    rows = torch.arange(240)
    side = solved.twin.side(solved.original, solved.train.take(rows < 80), solved.train.take(rows >= 80), "cpu")
    p = solved.twin.p_wrong(side)
    assert ((p > 0) & (p < 1)).all()
    assert float(p.std()) > 0.05
