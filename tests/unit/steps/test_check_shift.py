"""The guard on a real (small) problem: through the net that has learnt both sets alike, and refusing with a way out."""

from dataclasses import replace

import pytest
import torch

from tests.synthetic import CLASSES, MEMORISE, SEEDS, tiny_net
from tmu.errors import GateError
from tmu.steps.check_shift import check_shift, learns_from_holdout, refuse_shift, shift_samples
from tmu.train import fit, predict
from tmu.unlearn.problem import Problem


def problem_of(solved, forgotten: torch.Tensor) -> Problem:
    """The problem of forgetting some (bool) of the solved world's training records."""
    forget, retain = solved.train.take(forgotten), solved.train.take(~forgotten)
    return Problem(solved.original, forget, retain, CLASSES, MEMORISE, SEEDS, fit, tiny_net, twin=solved.twin)


def test_a_random_request_goes_through(solved) -> None:
    found = check_shift(problem_of(solved, torch.arange(240) < 48), solved.holdout)
    refuse_shift(found)
    assert found.verdict == "alike"
    assert (found.n_forget, found.n_holdout) == (48, 240)


def test_most_of_a_class_is_refused_with_reason_and_hint(solved) -> None:
    first = torch.nonzero(solved.train.labels == 0)[:, 0]
    forgotten = torch.zeros(240, dtype=torch.bool).index_fill(0, first[: round(0.8 * len(first))], True)
    found = check_shift(problem_of(solved, forgotten), solved.holdout, names=["ankle", "bag", "coat"])
    with pytest.raises(GateError, match="80 % of the training records of class `ankle`") as refusal:
        refuse_shift(found)
    assert "--method retrain" in refusal.value.hint


def test_both_sets_are_seen_through_the_first_curriculum_net(solved) -> None:
    problem = problem_of(solved, torch.arange(240) < 48)
    forget, holdout = shift_samples(problem, solved.holdout)
    assert torch.equal(forget.features, predict(solved.twin.curriculum[0], problem.forget.images)[1])
    assert torch.equal(holdout.features, predict(solved.twin.curriculum[0], solved.holdout.images)[1])
    assert torch.equal(holdout.labels, solved.holdout.labels)


def test_brighter_pictures_are_a_shift(solved) -> None:
    problem = problem_of(solved, torch.arange(240) < 48)
    images = (problem.forget.images.float() * 0.4 + 150).to(torch.uint8)
    found = check_shift(replace(problem, forget=replace(problem.forget, images=images)), solved.holdout)
    assert found.covariate
    assert found.verdict == "refuse"


def test_without_a_twin_the_counts_are_compared_and_a_random_request_goes_through(solved) -> None:
    found = check_shift(replace(problem_of(solved, torch.arange(240) < 48), twin=None), solved.holdout)
    refuse_shift(found)
    assert found.verdict == "alike"
    assert found.as_json()["classes"]["removed"] < 0.5


def test_without_a_twin_a_class_that_the_hold_out_lacks_is_refused(solved) -> None:
    problem = replace(problem_of(solved, torch.arange(240) < 48), twin=None)
    found = check_shift(problem, solved.holdout.take(solved.holdout.labels != 1), names=["ankle", "bag", "coat"])
    with pytest.raises(GateError, match=r"hold-out: Class `bag` has no hold-out record\.") as refusal:
        refuse_shift(found)
    assert "--method retrain" in refusal.value.hint


def test_without_a_twin_another_class_mix_is_said_and_most_of_a_class_refused(solved) -> None:
    second = solved.train.labels == 1
    some = replace(problem_of(solved, second & (second.cumsum(0) <= 0.4 * second.sum())), twin=None)
    found = check_shift(some, solved.holdout)
    assert (found.verdict, found.classes.differs) == ("covered", True)
    assert "class mix differs by" in found.reason
    most = replace(problem_of(solved, second & (second.cumsum(0) <= 0.8 * second.sum())), twin=None)
    assert check_shift(most, solved.holdout).verdict == "refuse"


def test_who_learns_from_the_hold_out() -> None:
    names = ("tmu", "tmu-soft", "regun", "finetune", "retrain")
    assert [name for name in names if learns_from_holdout(name)] == ["tmu", "regun"]
