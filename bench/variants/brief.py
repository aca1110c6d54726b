"""Fine-tuning, and l1-sparse, cut to a given cost: a share of a retraining, down to a part of an epoch.

Formula: that of `tmu/unlearn/finetune.py`, and with `gamma` above 0 that of `tmu/unlearn/l1_sparse.py`; the records of
less than one epoch are drawn from D_r by their keys. Reference: as there. Cost: `share` of a retraining. Failure mode:
as there, the more the shorter.
"""

from pydantic import Field

from tmu.config import Config
from tmu.train import Examples
from tmu.train.batch import soft_cross_entropy
from tmu.unlearn.choose import random_choice
from tmu.unlearn.l1_sparse import sparse_objective
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = False
NEEDS_HOLDOUT = False


class Options(Config):
    """How much, and how."""

    share: float = Field(0.1, gt=0, le=1, description="of the original's epochs")
    lr: float = Field(0.1, gt=0)
    gamma: float = Field(0.0, ge=0, description="mean factor of the sum of all weights' magnitudes")


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Train on with D_r, or part of it."""
    epochs = options.share * problem.recipe.epochs
    train = some_of(problem.retain, epochs, problem.seeds.unlearn)
    changes = {"epochs": max(1, round(epochs)), "lr": options.lr, "schedule": "triangle", "warmup": 0.1}
    objective = sparse_objective(options.gamma) if options.gamma else soft_cross_entropy
    recipe = problem.recipe.model_copy(update=changes)
    return Outcome(problem.model, problem.fit(problem.model, train, recipe, problem.seeds, objective=objective))


def some_of(retain: Examples, epochs: float, seed: int) -> Examples:
    """All records, and of less than one epoch as large a part of them, at least two."""
    if epochs >= 1:
        return retain
    drawn = random_choice(retain.keys, max(2, round(epochs * len(retain))), seed, "part of an epoch")
    return retain.take(drawn.to(retain.labels.device))
