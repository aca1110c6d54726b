"""The bench's variants: rivals at a given cost, and controls that unlearn nothing."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from bench.variants import (
    brief,
    early_retrain,
    get_method,
    head_only,
    needs_references,
    needs_twin,
    never_step,
    read_options,
    variant_names,
)
from bench.variants import oracle_matching as oracle
from tests.synthetic import CLASSES, same_weights, weights_of
from tmu.errors import ConfigError
from tmu.models.registry import head_of
from tmu.references.rows import ReferenceRows
from tmu.train import fit, logits_of
from tmu.unlearn import finetune, l1_sparse, method_names


def rows_of(examples, said: torch.Tensor) -> ReferenceRows:
    """Rows of two networks, of which the second learned every record; both say `said` (N, K)."""
    seen = torch.tensor([False, True]).expand(len(examples), 2)
    return ReferenceRows(examples.keys, examples.labels, seen, said.log()[:, None].expand(-1, 2, -1))


@pytest.fixture
def taught(make_problem):
    """A problem with lessons: unseen networks give every class alike, those that learned it are sure of the label."""

    def make(**given):
        problem = make_problem(**given)
        even = torch.full((len(problem.forget), CLASSES), 1 / CLASSES)
        sure = torch.nn.functional.one_hot(problem.retain.labels, CLASSES).float() * 0.95 + 0.05 / CLASSES
        lessons = SimpleNamespace(forget=rows_of(problem.forget, even), replay=rows_of(problem.retain, sure))
        return replace(problem, lessons=lessons)

    return make


def watched(calls):
    """`fit` that notes what it was given."""

    def run(model, examples, recipe, seeds, **given):
        calls.append((examples, recipe))
        return fit(model, examples, recipe, seeds, **given)

    return run


def test_variants_are_found_by_their_files_and_are_no_methods_of_the_product():
    assert {"early-retrain", "brief", "oracle-matching", "head-only", "never-step"} == set(variant_names())
    assert not set(variant_names()) & set(method_names())
    assert get_method("oracle-matching") is oracle and get_method("finetune") is finetune
    assert needs_references("oracle-matching") and not needs_references("finetune")
    assert needs_twin("tmu") and not needs_twin("brief")
    with pytest.raises(ConfigError, match="There is no method `nothing`"):
        get_method("nothing")
    with pytest.raises(ConfigError, match="`early-retrain`, option `share`"):
        read_options("early-retrain", {"share": 1.5})


@pytest.mark.parametrize(("share", "epochs", "part"), [(0.5, 2, 1.0), (0.25, 1, 1.0), (0.1, 1, 0.4)])
@pytest.mark.parametrize("method", [early_retrain, brief])
def test_a_share_of_a_retraining_is_so_many_steps(make_problem, method, share, epochs, part):
    calls = []
    problem = make_problem(fit=watched(calls))
    problem = replace(problem, recipe=problem.recipe.model_copy(update={"epochs": 4}))
    method.unlearn(problem, method.Options(share=share))
    ((examples, recipe),) = calls
    assert recipe.epochs == epochs
    assert len(examples) == round(part * len(problem.retain))
    assert set(examples.keys.tolist()) <= set(problem.retain.keys.tolist())


def test_an_early_retraining_starts_anew_and_the_original_stays(make_problem):
    problem = make_problem()
    before = weights_of(problem.model)
    outcome = early_retrain.unlearn(problem, early_retrain.Options(share=0.1))
    assert outcome.model is not problem.model
    assert same_weights(weights_of(problem.model), before)


def test_without_pressure_it_is_fine_tuning_and_with_it_l1_sparse(make_problem):
    problem = make_problem()
    steps = 2 * -(-len(problem.retain) // problem.recipe.batch_size)
    share = 2 / problem.recipe.epochs
    for gamma, own, options in ((0.0, finetune, {}), (1e-3, l1_sparse, {"gamma": 1e-3})):
        mine = brief.unlearn(make_problem(), brief.Options(share=share, lr=0.05, gamma=gamma))
        its = own.unlearn(make_problem(), own.Options(steps=steps, lr=0.05, **options))
        assert same_weights(weights_of(mine.model), weights_of(its.model))


def test_oracle_matching_goes_to_what_unseen_networks_say_and_keeps_the_rest(taught):
    calls = []
    problem = taught(fit=watched(calls))
    before = float(logits_of(problem.model, problem.forget.images).softmax(1).amax(1).mean())
    outcome = oracle.unlearn(problem, oracle.Options(epochs=10))
    ((examples, _),) = calls
    assert len(examples) == 4 * len(problem.forget) == outcome.notes["n_both"]
    assert torch.allclose(examples.targets[: len(problem.forget)], torch.full((1,), 1 / CLASSES), atol=1e-5)
    after = float(logits_of(outcome.model, problem.forget.images).softmax(1).amax(1).mean())
    assert after < before - 0.1
    kept = logits_of(outcome.model, problem.retain.images).argmax(1) == problem.retain.labels
    assert float(kept.float().mean()) > 0.8


def test_the_head_alone_changes_its_answers_and_no_other_weight(taught):
    problem = taught()
    before = weights_of(problem.model)
    said = logits_of(problem.model, problem.forget.images).softmax(1)
    outcome = head_only.unlearn(problem, head_only.Options())
    head = {id(each) for each in head_of(outcome.model).parameters()}
    names = {name for name, each in outcome.model.named_parameters() if id(each) in head}
    after = weights_of(outcome.model)
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved == names
    now = logits_of(outcome.model, problem.forget.images).softmax(1)
    assert float(now.amax(1).mean()) < float(said.amax(1).mean()) - 0.1


def test_a_step_that_is_never_made_moves_statistics_and_no_parameter(make_problem):
    problem = make_problem()
    before = weights_of(problem.model)
    outcome = never_step.unlearn(problem, never_step.Options())
    after, trained = weights_of(outcome.model), {name for name, _ in outcome.model.named_parameters()}
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved and not moved & trained
    assert not outcome.model.training
