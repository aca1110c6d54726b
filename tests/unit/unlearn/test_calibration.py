"""Logit calibration: found where it is known, answers unchanged, bounded, between original and cross-fit models."""

import copy

import pytest
import torch

from tmu.models.registry import head_of
from tmu.train import logits_of
from tmu.unlearn.calibration import LogitCalibration, calibrate, expected_margins


def _dimmed(model, factor: float):
    """A copy whose head is `factor` times as large."""
    dimmed = copy.deepcopy(model)
    with torch.no_grad():
        for part in head_of(dimmed).parameters():
            part.mul_(factor)
    return dimmed


@pytest.mark.parametrize("factor", [0.7, 0.9, 1.0, 1.3])
def test_a_model_that_was_dimmed_is_brought_back(solved, factor):
    gold = expected_margins(solved.original, None, solved.holdout, 0.0)
    model = _dimmed(solved.original, factor)
    answers = logits_of(model, solved.holdout.images).argmax(1)
    assert calibrate(model, solved.holdout, gold) == pytest.approx(1 / factor, rel=2e-3)
    assert torch.allclose(head_of(model).weight, head_of(solved.original).weight, rtol=5e-3, atol=1e-5)
    assert torch.allclose(head_of(model).bias, head_of(solved.original).bias, rtol=5e-3, atol=1e-5)
    assert torch.equal(logits_of(model, solved.holdout.images).argmax(1), answers)


@pytest.mark.parametrize(("factor", "bound"), [(0.2, 2.0), (6.0, 0.5)])
def test_no_factor_is_beyond_a_half_and_two(solved, factor, bound):
    gold = expected_margins(solved.original, None, solved.holdout, 0.0)
    assert calibrate(_dimmed(solved.original, factor), solved.holdout, gold) == bound


def test_a_gold_lies_between_the_original_and_the_cross_fit_models(solved):
    models, holdout = solved.twin.cross_fit, solved.holdout
    none, some, half, most = (expected_margins(solved.original, models, holdout, lost) for lost in (0, 0.2, 0.5, 0.9))
    assert torch.equal(none, expected_margins(solved.original, None, holdout, 0.3))
    assert not torch.allclose(none, half, atol=0.05)
    assert torch.allclose(some, torch.lerp(none, half, 0.32193), atol=1e-4)  # -log2(1 - .2)
    assert torch.equal(half, most)  # farther than the cross-fit models is not known
    alone = expected_margins(models.nets[0], None, holdout, 0.0)
    assert not torch.equal(half, alone)  # either half answers for its own records


def test_the_hook_calibrates_at_its_steps_alone_and_leaves_the_model_in_training(solved):
    gold = expected_margins(solved.original, None, solved.holdout, 0.0)
    hook = LogitCalibration(solved.holdout, gold, 30)
    model = _dimmed(solved.original, 0.8)
    model.train()
    scales = []
    for step in range(1, 31):
        hook(model, step)
        assert model.training
        scales.append(float(head_of(model).weight.norm() / head_of(solved.original).weight.norm()))
    assert scales[18] == pytest.approx(0.8, abs=1e-4) and scales[19] == pytest.approx(1.0, abs=5e-3)
    assert hook.factor == pytest.approx(1.0, abs=5e-3)  # the last one
