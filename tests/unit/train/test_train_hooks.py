"""The engine's hook after each step, and how far a run is as its objective sees it."""

from functools import partial

import pytest
import torch

from tests.synthetic import RECIPE, SEEDS, blobs, same_weights, tiny_net, weights_of
from tmu.train import fit
from tmu.train.batch import soft_cross_entropy


def _shrink(model, done):
    """A hook whose effect depends on weights and step."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1 - 0.01 / done


def test_the_hook_is_called_after_every_step_in_training_mode():
    calls = []
    fit(tiny_net(), blobs(64), RECIPE, SEEDS, after_step=lambda model, done: calls.append((done, model.training)))
    assert calls == [(done, True) for done in range(1, 9)]


def test_a_hook_that_does_nothing_changes_nothing():
    plain, hooked = tiny_net(), tiny_net()
    fit(plain, blobs(64), RECIPE, SEEDS)
    fit(hooked, blobs(64), RECIPE, SEEDS, after_step=lambda model, done: None)
    assert same_weights(weights_of(plain), weights_of(hooked))


def test_an_objective_knows_how_far_the_run_is():
    seen = []

    def watch(model, batch):
        seen.append(batch.done)
        return soft_cross_entropy(model, batch)

    fit(tiny_net(), blobs(64), RECIPE, SEEDS, objective=watch)
    assert seen == [step / 8 for step in range(8)]


class _Stop(Exception):
    pass


def test_a_run_with_a_hook_resumes_to_the_same_weights(tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 3})
    run = partial(fit, examples=blobs(160), config=recipe, seeds=SEEDS, snapshot=tmp_path / "snapshot")

    def stop(done, steps, numbers):
        if done == 16:
            raise _Stop

    with pytest.raises(_Stop):
        run(tiny_net(), after_step=_shrink, snapshot_seconds=0, progress=stop)
    resumed, whole = tiny_net(), tiny_net()
    assert run(resumed, after_step=_shrink).resumed_at == 16
    assert run(whole, after_step=_shrink).resumed_at == 0
    assert same_weights(weights_of(resumed), weights_of(whole))


def test_a_snapshot_of_a_run_without_the_hook_is_ignored(tmp_path):
    run = partial(fit, examples=blobs(160), config=RECIPE, seeds=SEEDS, snapshot=tmp_path / "snapshot")

    def stop(done, steps, numbers):
        if done == 16:
            raise _Stop

    with pytest.raises(_Stop):
        run(tiny_net(), snapshot_seconds=0, progress=stop)
    assert run(tiny_net(), after_step=_shrink).resumed_at == 0
