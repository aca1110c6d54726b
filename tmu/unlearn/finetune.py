"""FT: go on training on the retain set and hope that the rest fades.

Formula: min CE(D_r) from the original. Reference: the usual baseline (e.g. Jia et al., arXiv 2304.04934). Cost: a few
epochs on D_r. Failure mode: does next to nothing at CIFAR scale; the forget set stays memorised. Published: 10 epochs,
SGD .01 (DualOptim); 2 epochs, SGD .01, momentum .9 (ReGUn's code).
"""

from pydantic import Field

from tmu.config import Config, TrainConfig
from tmu.train.recipes import sgd_recipe
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = False
NEEDS_HOLDOUT = False
CANDIDATES = tuple({"lr": lr, "steps": steps} for steps in (300, 450) for lr in (0.03, 0.1))


class Options(Config):
    """Length and rate; defaults were chosen on twin problems (`bench/tune.py`), as for every method."""

    steps: int = Field(300, ge=1)
    lr: float = Field(0.1, gt=0)


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Fine-tune on D_r."""
    recipe = recipe_of(problem.recipe, options.steps, options.lr, len(problem.retain))
    return Outcome(problem.model, problem.fit(problem.model, problem.retain, recipe, problem.seeds))


def recipe_of(original: TrainConfig, steps: int, lr: float, n_records: int) -> TrainConfig:
    """The original's recipe with another rate and about `steps` optimiser steps in whole epochs over `n_records`.

    Steps, not epochs, so that one default serves five hundred records and fifty thousand; never more epochs than the
    original had, where retraining would be cheaper. Short warm-up: the model is trained already, the optimiser's
    momentum is not.
    """
    per_epoch = -(-n_records // original.batch_size)
    epochs = min(original.epochs, max(1, round(steps / per_epoch)))
    return sgd_recipe(original, lr, epochs=epochs, schedule="triangle", warmup=0.1)
