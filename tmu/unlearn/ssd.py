"""SSD: shrink the weights that matter far more to the forget set than to the data as a whole. No training.

Formula: where I_f > alpha · I_D, θ ← min(lambda · I_D / I_f, 1) · θ; I is the diagonal Fisher information at the
original, over D_f and over D = D_f ∪ D_r. Reference: Foster, Schoepf and Brintrup, "Fast machine unlearning without
retraining through selective synaptic dampening", AAAI 2024, arXiv 2308.07707. Cost: one gradient of every record of D.
Failure mode: D_f is a part of D, so I_f / I_D is never above |D| / |D_f|: a random tenth leaves alpha = 10 nothing to
select (refused below), and what is unlike the rest (a class) is what it was made for. Published hyper-parameters:
alpha 10, lambda 1.
"""

import time

import torch
from pydantic import Field
from torch import Tensor, nn

from tmu.config import Config
from tmu.errors import ConfigError
from tmu.train import Fit
from tmu.train.optimisers import trained
from tmu.unlearn.importance import diagonal_fisher
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = False
NEEDS_HOLDOUT = False
CANDIDATES = tuple({"alpha": alpha, "dampening": share} for share in (1.0, 0.5) for alpha in (2.0, 5.0))


class Options(Config):
    """Selection and dampening."""

    alpha: float = Field(10.0, gt=0, description="a weight is selected where I_f > alpha * I_D")
    dampening: float = Field(1.0, gt=0, description="lambda: a selected weight keeps lambda * I_D / I_f of itself")


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Dampen the selected weights in place. Raises ConfigError where `alpha` cannot select any."""
    n_forget, n = len(problem.forget), len(problem.forget) + len(problem.retain)
    if options.alpha * n_forget >= n:
        raise ConfigError(
            f"SSD with alpha {options.alpha:g} can select no weight: {n_forget} of {n} records are to be forgotten.",
            f"Set `alpha` below {n / n_forget:.3g}.",
        )
    started = time.perf_counter()
    of_forget = diagonal_fisher(problem.model, problem.forget, problem.device)
    of_retain = diagonal_fisher(problem.model, problem.retain, problem.device)
    share = n_forget / n
    moved = trained(problem.model, problem.recipe)
    of_all = {name: share * of_forget[name] + (1 - share) * of_retain[name] for name in moved}
    selected = dampen(problem.model, of_forget, of_all, options)
    report = Fit([], 0, time.perf_counter() - started, "fp32")
    return Outcome(problem.model, report, {"n_forget": n_forget, "n_selected": selected})


@torch.no_grad()
def dampen(model: nn.Module, of_forget: dict[str, Tensor], of_all: dict[str, Tensor], options: Options) -> int:
    """Shrink the selected weights of `model` in place; → how many were selected. The others keep their bits."""
    count = 0
    for name, parameter in model.named_parameters():
        if name not in of_all:
            continue  # of a frozen backbone
        chosen = of_forget[name] > options.alpha * of_all[name]
        factor = (options.dampening * of_all[name] / of_forget[name]).clamp_max(1.0)
        parameter.copy_(torch.where(chosen, parameter * factor, parameter))
        count += int(chosen.sum())
    return count
