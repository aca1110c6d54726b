"""The twin model and its gate."""

import copy

import pytest
import torch

from tests.synthetic import CLASSES, SEEDS, TWIN, same_weights, weights_of
from tmu.errors import GateError
from tmu.train import fit, logits_of
from tmu.twin import problem
from tmu.twin.problem import GateReport, Memorised, fit_twin


def _knows(accuracy: float, confidence: float) -> Memorised:
    return Memorised(accuracy, confidence, 0.1)


def test_memorised_agrees_with_a_plain_loop():
    logits, labels = torch.randn(20, CLASSES), torch.arange(20) % CLASSES
    known, p = Memorised.of(logits, labels), logits.softmax(1)
    assert known.accuracy == pytest.approx(sum(int(p[i].argmax()) == int(labels[i]) for i in range(20)) / 20)
    assert known.confidence == pytest.approx(sum(float(p[i, labels[i]]) for i in range(20)) / 20)
    assert known.loss == pytest.approx(-sum(float(p[i, labels[i]].log()) for i in range(20)) / 20)


@pytest.mark.parametrize(
    ("accuracy", "confidence", "passes"),
    [(0.99, 0.96, True), (0.97, 0.96, False), (0.99, 0.90, False), (0.99, 1.0, True)],
)
def test_the_gate_weighs_accuracy_and_confidence(accuracy, confidence, passes):
    config = TWIN.model_copy(update={"accuracy_tolerance": 0.02, "confidence_tolerance": 0.05})
    assert GateReport(_knows(1.0, 0.96), _knows(accuracy, confidence), 1).passed(config) is passes


def test_the_gate_refuses_a_twin_that_is_surer_than_the_original():
    assert not GateReport(_knows(0.99, 0.85), _knows(0.99, 0.95), 1).passed(TWIN)


def test_a_memorised_hold_out_passes(solved):
    gate = solved.report.gate
    assert gate.passed(TWIN)
    unseen = Memorised.of(logits_of(solved.original, solved.holdout.images), solved.holdout.labels)
    assert unseen.accuracy < 0.9  # the original does not know what the twin knows
    assert gate.twin_on_holdout.accuracy >= gate.original_on_train.accuracy - 0.02
    assert gate.as_json()["twin_on_holdout"]["accuracy"] == gate.twin_on_holdout.accuracy
    seen = Memorised.of(logits_of(solved.twin.model, solved.holdout.images), solved.holdout.labels)
    assert seen == gate.twin_on_holdout


@pytest.mark.parametrize("weak", [{"epochs": 1}, {"lr": 1e-5}])
def test_too_little_training_is_refused_with_numbers(solved, weak):
    config = TWIN.model_copy(update={"train": TWIN.train.model_copy(update=weak), "max_rounds": 1})
    with pytest.raises(GateError, match=r"after 1 rounds: accuracy 0\.\d{3} and confidence 0\.\d{3}.*Raise `twin"):
        fit_twin(solved.original, solved.train, solved.holdout, config, SEEDS, fit)


def test_further_rounds_reach_what_one_does_not(solved):
    config = TWIN.model_copy(update={"train": TWIN.train.model_copy(update={"epochs": 2}), "max_rounds": 8})
    _, report, seconds = fit_twin(solved.original, solved.train, solved.holdout, config, SEEDS, fit)
    assert 1 < report.rounds <= 8
    assert seconds > 0


def test_the_twin_continues_the_original_on_both_sets_with_true_labels(solved):
    before, calls = weights_of(solved.original), []

    def watch(model, examples, recipe, seeds):
        calls.append((weights_of(model), examples, recipe, seeds))
        return fit(model, examples, recipe, seeds)

    taught = solved.train.taught(torch.full((240, CLASSES), 1 / CLASSES), weight=9.0, noise=0.5)
    twin, _, _ = fit_twin(solved.original, taught, solved.holdout, TWIN, SEEDS, watch)
    start, both, recipe, seeds = calls[0]
    assert same_weights(start, before)
    assert recipe == TWIN.train
    assert torch.equal(both.keys, torch.cat([solved.train.keys, solved.holdout.keys]))
    assert torch.equal(both.labels, torch.cat([solved.train.labels, solved.holdout.labels]))
    assert (both.targets, both.weights, both.noise) == (None, None, None)
    assert (seeds.order, seeds.augment) != (SEEDS.order, SEEDS.augment)
    assert same_weights(weights_of(solved.original), before)  # the original itself stays as it was
    assert not same_weights(weights_of(twin), before)


def test_each_round_has_an_order_of_its_own(solved):
    config = TWIN.model_copy(update={"train": TWIN.train.model_copy(update={"lr": 1e-5, "epochs": 1}), "max_rounds": 3})
    orders = []

    def watch(model, examples, recipe, seeds):
        orders.append((seeds.order, seeds.augment))
        return fit(model, examples, recipe, seeds)

    with pytest.raises(GateError):
        fit_twin(copy.deepcopy(solved.original), solved.train, solved.holdout, config, SEEDS, watch)
    assert [len(set(seeds)) for seeds in zip(*orders, strict=True)] == [3, 3]  # of the order and of the views


def test_an_original_that_knows_less_than_its_twin_is_named_as_the_cause():
    """More training of the twin would be the wrong way."""
    weak = problem.unlike(_knows(0.417, 0.466), _knows(1.0, 0.995), 6)
    assert "better than the original" in weak.what and "after 6 rounds" in weak.what and "`train.epochs`" in weak.hint
    strong = problem.unlike(_knows(1.0, 0.96), _knows(0.9, 0.8), 6)
    assert "has not memorised the hold-out" in strong.what and "twin.train.epochs" in strong.hint
