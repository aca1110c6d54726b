"""ReGUn: let the forget set look like held-out records of its classes.

Formula: min w_r · CE(D_r) + w_f · KL( q_c ‖ p(x) ) over x in D_f of class c, in mixed batches (`mixture.py`); q_c is
the mean softmax of the frozen original over the hold-out records of class c. Reference: arXiv 2603.11210. Cost: a few
epochs on D. Failure mode: one target a class, so records that a gold would surely get right are taught doubt and those
that it would miss are taught too little of it. Published hyper-parameters: SGD .01, momentum .9, wd 0, 10 epochs,
weights .5/.5, temperature 1, hold-out a tenth of the data. The paper's words are implemented (one mean a class); its
code shares one mean of the whole draw in a mixed batch.
"""

import torch
from pydantic import Field
from torch import Tensor

from tmu.config import Config
from tmu.errors import DataError
from tmu.train import logits_of
from tmu.unlearn.finetune import recipe_of
from tmu.unlearn.mixture import weighed
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = False
NEEDS_HOLDOUT = True
CANDIDATES = tuple({"lr": lr, "forget_weight": weight} for weight in (0.2, 0.5) for lr in (0.01, 0.05))


class Options(Config):
    """Length, rate and weights."""

    steps: int = Field(300, ge=1)
    lr: float = Field(0.01, gt=0)
    forget_weight: float = Field(0.2, gt=0, description="w_f, the weight of the forget set's mean divergence")
    retain_weight: float = Field(0.5, gt=0, description="w_r, the weight of the retain set's mean loss")


def class_means(problem: Problem) -> Tensor:
    """Q (K, K): row c is the original's mean softmax over the hold-out records of class c.

    Raises DataError where a class of D_f has no hold-out record.
    """
    holdout = problem.known_holdout
    counts = torch.bincount(holdout.labels.cpu(), minlength=problem.classes)
    for label in problem.forget.labels.unique().tolist():
        if not counts[label]:
            raise DataError(f"Class {label} has no hold-out record.", "Import with a larger `--holdout`.")
    p = logits_of(problem.model, holdout.images, device=problem.device).softmax(1)
    sums = torch.zeros(problem.classes, problem.classes).index_add_(0, holdout.labels.cpu(), p)
    return sums / counts.clamp_min(1)[:, None]


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Distil D_f to its classes' held-out means while training on D_r.

    The cross-entropy against q_c, which the engine minimises, is the divergence plus the entropy of q_c, a constant.
    """
    forget = problem.forget
    targets = class_means(problem)[forget.labels.cpu()].to(forget.labels.device)
    both = weighed(
        forget.taught(targets), problem.retain, problem.classes, options.forget_weight, options.retain_weight
    )
    recipe = recipe_of(problem.recipe, options.steps, options.lr, len(both))
    return Outcome(problem.model, problem.fit(problem.model, both, recipe, problem.seeds))
