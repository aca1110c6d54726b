"""Exact head: take the records' part out of the sums that a ridge head is solved from, and solve it again.

Formula: (G - Φ_f'Φ_f + λ I) W = B - Φ_f'Y_f on the features of a frozen start. Reference: Quan, Wu, Montana,
"Exact Federated Continual Unlearning for Ridge Heads on Frozen Foundation Models", arXiv 2603.12977. Cost: one forward
pass over D_f and a Cholesky solution; nothing of D_r is read. Failure mode: none in alignment, it is what retraining
gives, bit for bit; only for models that were trained so (`train.head: ridge`), and the start is not reached.
Published hyper-parameters: none.
"""

from tmu.config import Config
from tmu.errors import ConfigError
from tmu.ridge.fit import without
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = False
NEEDS_HOLDOUT = False
NEEDS_STATISTICS = True
CANDIDATES = ()  # nothing to choose


class Options(Config):
    """Nothing to choose: the recipe is the original's."""


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Subtract the forget set's statistics; where there are none to subtract from, sum those of the retain set."""
    if problem.recipe.head != "ridge":
        raise ConfigError(
            "`exact-head` needs a model with a ridge head on a frozen network, and this one was trained by SGD.",
            "Set `train.head: ridge` in params.yaml and train again, or use another method.",
        )
    if problem.statistics is None:
        report = problem.fit(problem.model, problem.retain, problem.recipe, problem.seeds)
        return Outcome(problem.model, report, {"statistics": "computed anew"})
    report = without(problem.model, problem.statistics, problem.forget, problem.recipe, device=problem.device)
    return Outcome(problem.model, report, {"statistics": "subtracted", "condition": report.solved.condition})
