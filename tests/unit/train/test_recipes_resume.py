"""A run by any recipe that was cut short goes on to the same weights: optimiser, average, best epoch, dropout."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.synthetic import RECIPE, SEEDS, blobs, same_weights, tiny_net, weights_of
from tmu.train import fit

HOLDOUT = blobs(40, seed=5)
RECIPES = {
    "adamw": {"optimiser": "adamw", "lr": 0.01, "decay": "weights", "schedule": "warmup_cosine"},
    "slower backbone": {"backbone_lr": 0.1},
    "frozen backbone": {"backbone_lr": 0.0, "optimiser": "adamw", "lr": 0.05},
    "average": {"ema": 0.9},
    "weights": {"balance": "weights"},
    "sampling": {"balance": "sampling"},
    "views": {"augment": ("crop", "flip", "randaugment", "colour")},
    "early stop": {"early_stop": 1, "epochs": 12},
    "all": {"optimiser": "adamw", "lr": 0.01, "ema": 0.9, "early_stop": 2, "epochs": 12, "balance": "sampling"}
    | {"augment": ("crop", "flip"), "backbone_lr": 0.2, "label_smoothing": 0.1, "clip_norm": 1.0},
}


class _Stop(Exception):
    pass


def _net() -> nn.Module:
    net = tiny_net()
    net.insert(len(net) - 1, nn.Dropout(0.3))
    return net


def _run(recipe, stop_at=None, **options):
    """(weights, report); cut short right after step `stop_at`, whose snapshot is there."""

    def progress(done, steps, numbers):
        if done == stop_at:
            raise _Stop

    net = _net()
    report = fit(net, blobs(130), recipe, SEEDS, held=HOLDOUT, progress=progress, snapshot_seconds=0, **options)
    return weights_of(net), report


# in the first, second or third epoch of nine steps
@pytest.mark.parametrize(("name", "stop_at"), [("all", 8), ("early stop", 24), *((name, 16) for name in RECIPES)])
def test_a_run_that_was_cut_short_ends_in_the_same_weights_and_history(tmp_path, name, stop_at):
    recipe = RECIPE.model_copy(update={"epochs": 3} | RECIPES[name])
    snapshot = tmp_path / "snapshot"
    with pytest.raises(_Stop):
        _run(recipe, stop_at, snapshot=snapshot)
    resumed, report = _run(recipe, snapshot=snapshot)
    whole, expected = _run(recipe)
    assert report.resumed_at == stop_at
    assert same_weights(resumed, whole)
    assert replace(report, seconds_train=0, resumed_at=0) == replace(expected, seconds_train=0)
    assert not snapshot.exists()


def test_a_snapshot_of_a_run_with_another_hold_out_is_ignored(tmp_path):
    snapshot, recipe = tmp_path / "snapshot", RECIPE.model_copy(update={"epochs": 3})
    with pytest.raises(_Stop):
        _run(recipe, 16, snapshot=snapshot)
    net = _net()
    other = fit(net, blobs(130), recipe, SEEDS, held=HOLDOUT.take(torch.arange(20)), snapshot=snapshot)
    assert other.resumed_at == 0
