"""Every method on one small deletion: it changes the model it is given, and no other."""

from functools import partial

import pytest
import torch

from tests.synthetic import CLASSES, MEMORISE, SEEDS, same_weights, tiny_net, weights_of
from tmu.models.registry import head_of
from tmu.train import Fit, fit, logits_of
from tmu.train.examples import as_probabilities
from tmu.unlearn import get_method, method_names, needs_references, needs_statistics, read_options
from tmu.unlearn.finetune import recipe_of
from tmu.unlearn.random_label import wrong_labels

OF_TRAINED_NETWORKS = [name for name in method_names() if not needs_statistics(name)]
# where the published default cannot work on a fifth of the records
FITTING = {"ssd": {"alpha": 1.5}}


def _run(name: str, problem, steps: int = 32):
    method = get_method(name)
    options = {"steps": steps} if "steps" in method.Options.model_fields else {}
    return method.unlearn(problem, read_options(name, options | FITTING.get(name, {})))


def _confidence(model, examples) -> float:
    p = logits_of(model, examples.images).softmax(1)
    return float(p.gather(1, examples.labels[:, None]).mean())


@pytest.mark.parametrize("name", OF_TRAINED_NETWORKS)
def test_each_method_moves_the_weights_and_leaves_the_original_alone(make_problem, solved, name):
    """A published SCRUB never steps its student (largest change 0.0); this is the test that catches it."""
    before = weights_of(solved.original)
    kept = {part: weights_of(net) for part, net in (("twin", solved.twin.model), ("net", solved.twin.curriculum[0]))}
    outcome = _run(name, make_problem())
    after = dict(outcome.model.named_parameters())
    assert max(float((value.detach() - before[key]).abs().max()) for key, value in after.items()) > 1e-3
    assert same_weights(weights_of(solved.original), before)
    assert same_weights(weights_of(solved.twin.model), kept["twin"])
    assert same_weights(weights_of(solved.twin.curriculum[0]), kept["net"])
    assert isinstance(outcome.fit, Fit)
    assert not outcome.model.training


@pytest.mark.parametrize("name", OF_TRAINED_NETWORKS)
def test_each_method_repeats_bit_by_bit(make_problem, name):
    first, second = (_run(name, make_problem()).model for _ in range(2))
    assert same_weights(weights_of(first), weights_of(second))


@pytest.mark.parametrize("name", OF_TRAINED_NETWORKS)
def test_a_method_works_with_no_more_than_it_asks_for(make_problem, solved, name):
    """The step hands over a twin, a hold-out and lessons only where the module says so."""
    method = get_method(name)
    needs = {"twin": method.NEEDS_TWIN, "holdout": method.NEEDS_HOLDOUT, "lessons": needs_references(name)}
    problem = make_problem(**{field: None for field, needed in needs.items() if not needed})
    assert not same_weights(weights_of(_run(name, problem).model), weights_of(solved.original))


@pytest.mark.parametrize("name", ["random-label", "tmu", "tmu-soft"])
def test_relabelling_lowers_confidence_in_the_forgotten_and_keeps_the_rest(make_problem, name):
    problem = make_problem()
    forgotten, kept = _confidence(problem.model, problem.forget), _confidence(problem.model, problem.retain)
    model = _run(name, problem, steps=80).model
    assert forgotten > 0.98
    assert _confidence(model, problem.forget) < forgotten - 0.05
    assert _confidence(model, problem.retain) > kept - 0.2


def test_finetune_only_sees_the_retain_set(make_problem):
    seen = []
    problem = make_problem(fit=lambda model, examples, *rest: seen.append(examples) or fit(model, examples, *rest))
    _run("finetune", problem)
    assert [examples is problem.retain for examples in seen] == [True]


def test_retrain_is_the_gold(make_problem):
    """Same seeds, same recipe, fresh start, retain set: bit by bit what training a gold gives."""
    problem, gold = make_problem(), tiny_net()
    fit(gold, problem.retain, MEMORISE, SEEDS)
    outcome = _run("retrain", problem)
    assert same_weights(weights_of(outcome.model), weights_of(gold))
    assert outcome.model is not problem.model


def test_random_label_teaches_a_wrong_label_to_each_forgotten_record(make_problem):
    seen = []
    problem = make_problem(fit=lambda model, examples, *rest: seen.append(examples) or fit(model, examples, *rest))
    _run("random-label", problem)
    (taught,) = seen
    assert len(taught) == 240
    assert not (taught.targets[:48].argmax(1) == problem.forget.labels).any()
    assert torch.equal(taught.targets[48:], as_probabilities(problem.retain.labels, CLASSES))
    assert torch.equal(taught.labels, torch.cat([problem.forget.labels, problem.retain.labels]))


def test_wrong_labels_are_uniform_over_the_others_and_follow_the_seed():
    labels = torch.zeros(6000, dtype=torch.int64)
    drawn = wrong_labels(labels, 4, 0)
    assert torch.bincount(drawn, minlength=4).tolist() == pytest.approx([0, 2000, 2000, 2000], abs=150)
    assert torch.equal(drawn, wrong_labels(labels, 4, 0))
    assert not torch.equal(drawn, wrong_labels(labels, 4, 1))


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (21, 3), (24, 3), (140, 20), (300, 20)])
def test_the_recipe_keeps_all_but_length_and_rate(steps, epochs):
    original = MEMORISE.model_copy(update={"augment": "shift", "weight_decay": 1e-4})
    recipe = recipe_of(original, steps, 0.02, 200)  # seven steps of at most 32 records an epoch; twenty epochs at most
    assert (recipe.epochs, recipe.lr, recipe.augment, recipe.weight_decay) == (epochs, 0.02, "shift", 1e-4)
    assert recipe.batch_size == original.batch_size


@pytest.mark.parametrize("name", [name for name in method_names() if not needs_statistics(name)])
def test_each_method_moves_only_what_the_recipe_trains(make_problem, solved, name):
    """An original of another kind: AdamW on a frozen backbone, averaged, stopped early, balanced."""
    kind = {"optimiser": "adamw", "backbone_lr": 0.0, "lr": 0.01, "ema": 0.9, "early_stop": 2, "balance": "sampling"}
    bound = partial(fit, held=solved.holdout) if name == "retrain" else fit
    problem = make_problem(recipe=MEMORISE.model_copy(update=kind), fit=bound)
    before = weights_of(problem.fresh() if name == "retrain" else solved.original)
    net = _run(name, problem).model
    head = {id(parameter) for parameter in head_of(net).parameters()}
    trained = {key for key, parameter in net.named_parameters() if id(parameter) in head}
    after = weights_of(net)
    moved = {key for key, value in after.items() if not torch.equal(value, before[key])}
    assert moved and moved <= trained
    assert all(bool(value.isfinite().all()) for value in after.values())


def test_a_method_with_a_rate_of_its_own_takes_it_by_sgd():
    kind = {"optimiser": "adamw", "momentum": 0.95, "weight_decay": 0.1, "ema": 0.9, "early_stop": 2}
    recipe = recipe_of(MEMORISE.model_copy(update=kind | {"backbone_lr": 0.1, "balance": "weights"}), 30, 0.02, 200)
    assert (recipe.optimiser, recipe.momentum, recipe.weight_decay) == ("sgd", 0.9, 5e-4)
    assert (recipe.ema, recipe.early_stop) == (None, None)
    assert (recipe.backbone_lr, recipe.balance) == (0.1, "weights")


def test_retrain_stops_early_as_the_gold_does(make_problem, solved):
    recipe = MEMORISE.model_copy(update={"early_stop": 2})
    problem, gold = make_problem(recipe=recipe, fit=partial(fit, held=solved.holdout)), tiny_net()
    report = fit(gold, problem.retain, recipe, SEEDS, held=solved.holdout)
    outcome = _run("retrain", problem)
    assert same_weights(weights_of(outcome.model), weights_of(gold))
    assert outcome.fit.best_epoch == report.best_epoch < MEMORISE.epochs
