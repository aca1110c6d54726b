"""Bad teacher: imitate a network that knows nothing on the forget set, and the original on the retain set.

Formula: min mean_i KL( teacher(x_i) ‖ p(x_i) ); the teacher is a newly initialised network on D_f and the frozen
original on D_r, each asked about the very view that the student sees. Reference: Chundawat et al., "Can bad teaching
induce forgetting?", AAAI 2023, arXiv 2205.08096. Cost: a few epochs on D with two forward passes more. Failure mode:
the forget set ends less sure than anything that the gold has not seen, which marks it; labels of D_r are not used.
Published hyper-parameters: Adam 1e-4, temperature 1 (public code, which keeps only a part of D_r); ours are SGD .01 and
all of D_r.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from tmu.config import Config
from tmu.train.batch import Batch, Objective
from tmu.train.examples import join
from tmu.unlearn.finetune import recipe_of
from tmu.unlearn.problem import Outcome, Problem
from tmu.unlearn.teacher import divergence, frozen

NEEDS_TWIN = False
NEEDS_HOLDOUT = False
CANDIDATES = tuple({"lr": lr, "temperature": warmth} for warmth in (1.0, 2.0) for lr in (0.01, 0.05))


class Options(Config):
    """Length, rate and temperature."""

    steps: int = Field(300, ge=1)
    lr: float = Field(0.01, gt=0)
    temperature: float = Field(2.0, gt=0)


def two_teachers(good: nn.Module, bad: nn.Module, n_forget: int, temperature: float) -> Objective:
    """The divergence from `bad` on the examples' first `n_forget` rows and from `good` on the others."""

    def two_teachers_objective(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = model(batch.views)
        with torch.no_grad():
            taught = torch.where(batch.rows[:, None] < n_forget, bad(batch.views), good(batch.views))
        return divergence(taught, logits, temperature), logits

    return two_teachers_objective


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Follow the one teacher on D_f and the other on D_r."""
    good, bad = frozen(problem.model, problem.device), frozen(problem.fresh(), problem.device)
    both = join(problem.forget, problem.retain, problem.classes)
    recipe = recipe_of(problem.recipe, options.steps, options.lr, len(both))
    objective = two_teachers(good, bad, len(problem.forget), options.temperature)
    return Outcome(problem.model, problem.fit(problem.model, both, recipe, problem.seeds, objective=objective))
