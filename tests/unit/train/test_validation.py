"""The hold-out after each epoch: what is told, that looking changes nothing, and early stopping by it."""

import pytest
import torch

from tests.synthetic import CLASSES, MEMORISE, RECIPE, SEEDS, blobs, same_weights, tiny_net, weights_of
from tmu.errors import ConfigError
from tmu.train import fit, logits_of
from tmu.train.validation import HELD, best_epoch, is_over

HOLDOUT = blobs(60, seed=5)
STOPPING = MEMORISE.model_copy(update={"early_stop": 2})


def _run(recipe, held=HOLDOUT, **options):
    net = tiny_net()
    return net, fit(net, blobs(64), recipe, SEEDS, held=held, **options)


def _accuracy(net) -> float:
    return 100 * float((logits_of(net, HOLDOUT.images).argmax(1) == HOLDOUT.labels).double().mean())


@pytest.mark.parametrize("ema", [None, 0.5])
def test_the_accuracy_told_is_that_of_what_is_kept(ema):
    told = []
    net, report = _run(RECIPE.model_copy(update={"ema": ema}), progress=lambda *now: told.append(now[2]))
    assert report.history[-1][HELD] == _accuracy(net)
    assert told[-1] == report.history[-1]
    assert report.best_epoch is None


@pytest.mark.parametrize("changes", [{}, {"backbone_lr": 0.0}, {"ema": 0.9}])
def test_looking_changes_no_weight(changes):
    recipe = RECIPE.model_copy(update=changes)
    looked, blind = _run(recipe), _run(recipe, held=None)
    assert same_weights(weights_of(looked[0]), weights_of(blind[0]))
    assert HELD not in blind[1].history[0]


def test_early_stopping_keeps_the_best_epoch_and_ends_after_its_patience():
    ends, per_epoch = [], 2
    net, report = _run(
        STOPPING, after_step=lambda model, done: ends.append(weights_of(model)) if done % per_epoch == 0 else None
    )
    accuracies = [entry[HELD] for entry in report.history]
    best = accuracies.index(max(accuracies)) + 1
    assert report.best_epoch == best
    assert len(report.history) == best + 2 < STOPPING.epochs
    assert report.steps == per_epoch * len(report.history)
    assert same_weights(weights_of(net), ends[best - 1])
    assert _accuracy(net) == max(accuracies)


def test_a_run_that_is_never_stopped_keeps_its_best_epoch_too():
    net, report = _run(STOPPING.model_copy(update={"early_stop": 1000}))
    assert len(report.history) == STOPPING.epochs
    assert _accuracy(net) == max(entry[HELD] for entry in report.history)


def test_of_equal_epochs_the_first_is_the_best():
    history = [{"epoch": n, HELD: value} for n, value in enumerate([50.0, 70.0, 60.0, 70.0], 1)]
    assert best_epoch(history) == 2
    assert [is_over(history[:n], 2) for n in range(1, 5)] == [False, False, False, True]
    assert not is_over(history, None)


@pytest.mark.parametrize("held", [None, HOLDOUT.take(torch.zeros(60, dtype=torch.bool))])
def test_there_must_be_something_to_stop_by(held):
    with pytest.raises(ConfigError, match="no hold-out to stop early by"):
        _run(STOPPING, held=held)


def test_seconds_of_training_leave_looking_out(monkeypatch):
    import tmu.train.engine as room

    clock = iter(range(0, 10**6, 10))
    monkeypatch.setattr(room.time, "perf_counter", lambda: next(clock))
    _, report = _run(RECIPE)
    assert report.seconds_train == 10 * (1 + 2 * 2) - 2 * 10  # start, two looks of two readings each, end


def test_a_hold_out_of_another_class_mix_is_looked_at_as_it_is():
    of_one = HOLDOUT.take(HOLDOUT.labels == CLASSES - 1)
    _, report = _run(RECIPE, held=of_one)
    assert 0 <= report.history[-1][HELD] <= 100
