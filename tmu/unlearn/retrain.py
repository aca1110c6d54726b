"""Retrain: the gold itself.

Formula: the original's recipe from a fresh initialisation on D_r. Reference: the definition of exact unlearning.
Cost: a whole training. Failure mode: none in alignment; dear. Published hyper-parameters: the original's.
"""

from tmu.config import Config
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = False
NEEDS_HOLDOUT = False
CANDIDATES = ()  # nothing to choose


class Options(Config):
    """Nothing to choose: the recipe is the original's."""


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Train a fresh network on the retain set."""
    model = problem.fresh()
    return Outcome(model, problem.fit(model, problem.retain, problem.recipe, problem.seeds, held=problem.held))
