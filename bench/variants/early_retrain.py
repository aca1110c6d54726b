"""Early retraining: train a fresh network on D_r, and stop after a share of the original's epochs.

Formula: min CE(D_r) from new weights, the whole learning-rate schedule squeezed into `share` of the epochs. Reference:
the honest rival at equal cost (EasyDUB's figure of partial retrains). Cost: `share` of a retraining. Failure mode:
never saw D_f, so nothing is left of it, but has not learned D_r either; an epoch is the least, less is part of one.
"""

from pydantic import Field

from bench.variants.brief import some_of
from tmu.config import Config
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = False
NEEDS_HOLDOUT = False


class Options(Config):
    """How much."""

    share: float = Field(0.1, gt=0, le=1, description="of the original's epochs")


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Train anew; of less than an epoch, on so many of the records."""
    epochs = options.share * problem.recipe.epochs
    train = some_of(problem.retain, epochs, problem.seeds.unlearn)
    model = problem.fresh().to(problem.device)
    recipe = problem.recipe.model_copy(update={"epochs": max(1, round(epochs))})
    return Outcome(model, problem.fit(model, train, recipe, problem.seeds))
