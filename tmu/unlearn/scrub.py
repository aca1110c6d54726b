"""SCRUB: leave the teacher on the forget set, stay with it on the retain set, by turns.

Formula: teacher = the frozen original. Max phases: max T² KL(teacher ‖ student) over D_f; min phases: min alpha · T²
KL(teacher ‖ student) + gamma · CE over D_r. Each epoch is a min phase; those of the first half follow a max phase.
Reference: Kurmanji et al., NeurIPS 2023, arXiv 2302.09880; the rewinding variant (+R) needs a reference model and is
not offered. Cost: a few epochs on D with one forward pass more. Failure mode: the max phase has no bound and forgets
more than a gold does where the last min phases do not repair it. Published hyper-parameters: alpha .5, gamma 1, T 4, 5
epochs, SGD .01, max phases in the first half (ReGUn's code); alpha .001, gamma .99, T 4, 6 epochs with max phases in 2,
SGD 8e-5 (SFR-on's code); Adam 1e-4 (DualOptim). Momentum starts anew with each phase; the rate is constant while phases
alternate and then falls linearly.
"""

from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor, nn

from tmu.config import Config, Seeds, TrainConfig
from tmu.train import Examples, Fit
from tmu.train.batch import Batch, Objective, soft_cross_entropy
from tmu.train.order import stream
from tmu.unlearn.finetune import recipe_of
from tmu.unlearn.problem import Outcome, Problem
from tmu.unlearn.teacher import divergence, frozen

NEEDS_TWIN = False
NEEDS_HOLDOUT = False
CANDIDATES = (
    *({"lr": lr, "alpha": alpha} for alpha in (0.001, 0.5) for lr in (0.01, 0.05)),
    {"lr": 0.003, "alpha": 0.001},
    {"lr": 0.001, "alpha": 0.001},
)


class Options(Config):
    """Length, rate and the weights of the min phases."""

    steps: int = Field(300, ge=1, description="steps on the retain set; the max phases come on top")
    lr: float = Field(0.01, gt=0)
    alpha: float = Field(0.001, ge=0, description="weight of the divergence from the teacher on the retain set")
    gamma: float = Field(1.0, ge=0, description="weight of the cross-entropy on the retain set")
    temperature: float = Field(4.0, gt=0)


def leave(teacher: nn.Module, temperature: float) -> Objective:
    """Minus the divergence from the teacher."""

    def leave_objective(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = model(batch.views)
        with torch.no_grad():
            taught = teacher(batch.views)
        return -divergence(taught, logits, temperature), logits

    return leave_objective


def stay(teacher: nn.Module, options: Options) -> Objective:
    """Divergence from the teacher and cross-entropy."""

    def stay_objective(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        loss, logits = soft_cross_entropy(model, batch)
        with torch.no_grad():
            taught = teacher(batch.views)
        return options.alpha * divergence(taught, logits, options.temperature) + options.gamma * loss, logits

    return stay_objective


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Alternate, then only stay."""
    teacher = frozen(problem.model, problem.device)
    up, down = leave(teacher, options.temperature), stay(teacher, options)
    recipe = recipe_of(problem.recipe, options.steps, options.lr, len(problem.retain))
    alternating = (recipe.epochs + 1) // 2
    even = recipe.model_copy(update={"epochs": 1, "schedule": "constant"})
    falling = recipe.model_copy(update={"epochs": recipe.epochs - alternating + 1, "warmup": 0.0})
    phases: list[tuple[Examples, TrainConfig, Objective]] = []
    for _ in range(alternating):
        phases += [(problem.forget, even, up), (problem.retain, even, down)]
    phases[-1] = (problem.retain, falling, down)
    reports = [
        problem.fit(problem.model, examples, phase, _seeds(problem.seeds, number), objective=objective)
        for number, (examples, phase, objective) in enumerate(phases)
    ]
    return Outcome(problem.model, _together(reports), {"max_phases": alternating})


def _seeds(seeds: Seeds, phase: int) -> Seeds:
    """Each `fit` counts its epochs from 0: other seeds, or every phase would see the same order and views."""
    other = {axis: stream(getattr(seeds, axis), "phase", phase) for axis in ("order", "augment", "unlearn")}
    return seeds.model_copy(update=other)


def _together(reports: list[Fit]) -> Fit:
    """One report of all phases; entries are numbered through."""
    entries = [entry for report in reports for entry in report.history]
    return replace(
        reports[-1],
        history=[{**entry, "epoch": number} for number, entry in enumerate(entries, 1)],
        steps=sum(report.steps for report in reports),
        seconds_train=sum(report.seconds_train for report in reports),
    )
