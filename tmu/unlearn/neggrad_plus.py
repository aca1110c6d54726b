"""NegGrad+: climb on the forget set while descending on the retain set.

Formula: min w · CE(D_r) - (1 - w) · CE(D_f) from the original, in mixed batches (`mixture.py`). Reference: Kurmanji et
al., "Towards unbounded machine unlearning", NeurIPS 2023, arXiv 2302.09880. Cost: a few epochs on D. Failure mode: the
objective has no lower bound, so more steps always forget more than a gold does (membership shows again, inverted); the
clipped gradient norm only slows that. Published hyper-parameters: w .5, 10 epochs, SGD .01, momentum .9, wd 0 (ReGUn's
code); RUM's w is unknown to us. The clip norm is ours.
"""

from pydantic import Field

from tmu.config import Config
from tmu.unlearn.finetune import recipe_of
from tmu.unlearn.mixture import weighed
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = False
NEEDS_HOLDOUT = False
CANDIDATES = tuple({"lr": lr, "retain_weight": weight} for weight in (0.95, 0.99) for lr in (0.01, 0.05))


class Options(Config):
    """Length, rate and balance."""

    steps: int = Field(300, ge=1)
    lr: float = Field(0.05, gt=0)
    retain_weight: float = Field(0.95, gt=0, lt=1, description="w; the forget set's loss counts -(1 - w)")
    clip_norm: float = Field(1.0, gt=0, description="largest gradient norm of a step")


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Descend on D_r and climb on D_f together."""
    w = options.retain_weight
    both = weighed(problem.forget, problem.retain, problem.classes, w - 1, w)
    recipe = recipe_of(problem.recipe, options.steps, options.lr, len(both))
    recipe = recipe.model_copy(update={"clip_norm": options.clip_norm})
    return Outcome(problem.model, problem.fit(problem.model, both, recipe, problem.seeds))
