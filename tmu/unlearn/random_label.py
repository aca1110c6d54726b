"""RL: teach the forget set wrong labels.

Formula: each x in D_f gets a label other than y, drawn uniformly; min CE over D_f (relabelled) and D_r. Reference:
Golatkar et al. 2020 ("random labels"), as used by SalUn (arXiv 2310.12508). Cost: a few epochs on D. Failure mode:
forgets records that a gold would get right, and marks them (confidently wrong where nobody else is). Published: SGD
.003 to .01, 10 epochs, momentum .9, wd 5e-4. The public code may draw the true label; ours cannot.
"""

import torch
from pydantic import Field

from tmu.config import Config
from tmu.train.examples import as_probabilities, join
from tmu.train.order import stream
from tmu.unlearn.finetune import recipe_of
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = False
NEEDS_HOLDOUT = False
CANDIDATES = (
    *({"lr": lr, "steps": steps} for steps in (150, 300) for lr in (0.003, 0.01)),
    {"lr": 0.001, "steps": 150},
)


class Options(Config):
    """Length and rate; defaults were chosen on twin problems (`bench/tune.py`), as for every method."""

    steps: int = Field(150, ge=1)
    lr: float = Field(0.001, gt=0)


def wrong_labels(labels: torch.Tensor, classes: int, seed: int) -> torch.Tensor:
    """A label other than the true one for each record (N,), uniform over the K - 1 others."""
    generator = torch.Generator().manual_seed(stream(seed, "random label") & (2**63 - 1))
    offset = torch.randint(1, classes, labels.shape, generator=generator).to(labels.device)
    return (labels + offset) % classes


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Fine-tune on the relabelled forget set and the retain set together."""
    wrong = wrong_labels(problem.forget.labels, problem.classes, problem.seeds.unlearn)
    taught = problem.forget.taught(as_probabilities(wrong, problem.classes))
    both = join(taught, problem.retain, problem.classes)
    recipe = recipe_of(problem.recipe, options.steps, options.lr, len(both))
    return Outcome(problem.model, problem.fit(problem.model, both, recipe, problem.seeds))
