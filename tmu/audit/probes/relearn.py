"""Relearn time: how many steps of training on the forget set bring its accuracy back to the original's.

relearn = the first number of optimiser steps after which accuracy on the forget set >= the original's - alpha, both
0..1, alpha = .05 in absolute terms. AIN = relearn(unlearned) / relearn(retrained) (Chundawat et al. 2023).
Direction: the retrained model's number is the aim (AIN 1); fewer steps mean that traces were left, more that the
records were driven out beyond what a retrain does. More is not better. Floor: AIN of a further gold.
Training stops at the cap; a number found there is censored: "at least that many".
Failure mode: where the retrained model is within alpha at once there is nothing to relearn, and no AIN.
Cost: at most `cap` training steps, each followed by a measurement of the forget accuracy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tmu.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

ALPHA = 0.05
AfterStep = Callable[["nn.Module", int], None]


@dataclass(frozen=True)
class Relearned:
    """Steps until the forget accuracy was back; `censored`: it was not within that many."""

    steps: int
    censored: bool


class _Stop(Exception):
    """Ends the training run from inside its hook; `back`: the accuracy was reached."""

    def __init__(self, back: bool) -> None:
        self.back = back
        super().__init__()


def relearn_steps(
    model: "nn.Module",
    fit: Callable[["nn.Module", AfterStep], Any],
    accuracy: Callable[["nn.Module"], float],
    original_accuracy: float,
    *,
    cap: int,
    alpha: float = ALPHA,
) -> Relearned:
    """Train `model` in place (give a copy) until `accuracy` of it is within `alpha` of `original_accuracy`, all 0..1.

    `fit(model, after_step)` trains on the forget set for `cap` steps or more and calls `after_step(model, steps done)`
    after each: `tmu.train.fit` with examples, config and seeds bound. `accuracy` is called in evaluation mode. Raises
    ConfigError for a cap below 1, or where `fit` ended before the cap with the accuracy not yet back.
    """
    if cap < 1:
        raise ConfigError(f"The cap on relearning is {cap} steps.", "Allow at least one.")
    aim = original_accuracy - alpha
    if _measured(model, accuracy) >= aim:
        return Relearned(0, censored=False)
    done = 0

    def watch(trained: "nn.Module", step: int) -> None:
        nonlocal done
        done = step
        back = _measured(trained, accuracy) >= aim
        if back or step >= cap:
            raise _Stop(back)

    try:
        fit(model, watch)
    except _Stop as stop:
        return Relearned(done, censored=not stop.back)
    finally:
        model.eval()
    raise ConfigError(f"Relearning ended after {done} of {cap} steps.", "Train for more epochs, or lower the cap.")


def _measured(model: "nn.Module", accuracy: Callable[["nn.Module"], float]) -> float:
    was_training = model.training
    try:
        return accuracy(model.eval())
    finally:
        model.train(was_training)
