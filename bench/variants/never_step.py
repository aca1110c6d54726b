"""A control that must not pass: the loss is computed on D_r and the optimiser never steps.

Formula: forward passes in training mode, so that batch normalisation's statistics drift and the bytes differ, while
every trained parameter stays. Reference: a fault found in published unlearning code, whose optimiser held another
network. Cost: an epoch of forward passes over at most 4,096 records. Failure mode: that is its purpose.
"""

import torch

from tmu.config import Config
from tmu.train import Fit
from tmu.train.memory_format import arranged, moved
from tmu.unlearn.choose import random_choice
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = False
NEEDS_HOLDOUT = False
_RECORDS = 4096


class Options(Config):
    """None."""


@torch.no_grad()
def unlearn(problem: Problem, options: Options) -> Outcome:
    """Look at D_r, learn nothing."""
    model = moved(problem.model, problem.device).train()
    drawn = random_choice(problem.retain.keys, _RECORDS, problem.seeds.unlearn, "never step")
    images = problem.retain.images[drawn.to(problem.retain.images.device)]
    for batch in images.split(problem.recipe.batch_size):
        if len(batch) > 1:
            model(arranged(batch.to(problem.device).float() / 255, model))
    return Outcome(model.eval(), Fit([], 0, 0.0, "fp32"))
