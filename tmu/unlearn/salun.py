"""SalUn: random labels, but only the weights that the forget set moves most may change.

Formula: m = 1[ |∇ CE(D_f)| >= gamma ] at the original, gamma such that the share `keep` of all weights together passes;
min CE over D_f (each record with one label other than its own) and D_r, with weights where m = 0 held at the original.
Reference: Fan et al., ICLR 2024, arXiv 2310.12508. Cost: as random labels, plus one backward pass over D_f. Failure
mode: as random labels (forgets what a gold would know, and marks it). Published hyper-parameters: mask .5, SGD .013, 10
epochs, momentum .9, wd 5e-4 (authors' example); .007 and .2 (SFR-on's code); .01 and keep .5 (ReGUn's code). There each
epoch runs over D_f with labels drawn anew and then over D_r; here both are mixed and a record keeps its wrong label.
Batch-norm statistics are no weights and move.
"""

from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor, nn

from tmu.config import Config
from tmu.train.examples import as_probabilities, join
from tmu.train.optimisers import trained
from tmu.unlearn.finetune import recipe_of
from tmu.unlearn.importance import mean_gradient
from tmu.unlearn.problem import Outcome, Problem
from tmu.unlearn.random_label import wrong_labels

NEEDS_TWIN = False
NEEDS_HOLDOUT = False
CANDIDATES = (*({"lr": lr, "keep": keep} for keep in (0.2, 0.5) for lr in (0.003, 0.013)), {"lr": 0.001, "keep": 0.2})


class Options(Config):
    """Length, rate and share of the weights that may move."""

    steps: int = Field(300, ge=1)
    lr: float = Field(0.001, gt=0)
    keep: float = Field(0.2, gt=0, le=1, description="share of all weights that may change")


@dataclass(frozen=True)
class HoldOthers:
    """After each step, weights outside the mask are put back.

    This undoes weight decay and momentum too, which masking the gradient alone would leave.
    """

    mask: dict[str, Tensor]
    held: dict[str, Tensor]

    @torch.no_grad()
    def __call__(self, model: nn.Module, done: int) -> None:
        """Restore `model` in place."""
        for name, parameter in model.named_parameters():
            if name not in self.mask:
                continue  # of a frozen backbone
            parameter.copy_(torch.where(self.mask[name], parameter, self.held[name]))


def saliency_mask(gradient: dict[str, Tensor], keep: float) -> dict[str, Tensor]:
    """Bool masks by parameter name: the share `keep` of largest magnitude over all weights together (ties pass)."""
    magnitudes = torch.cat([value.abs().flatten() for value in gradient.values()])
    threshold = magnitudes.sort(descending=True).values[max(1, round(keep * len(magnitudes))) - 1]
    return {name: value.abs() >= threshold for name, value in gradient.items()}


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Fine-tune the salient weights on the relabelled forget set and the retain set together."""
    model, forget = problem.model, problem.forget
    moved = trained(model, problem.recipe)
    gradient = mean_gradient(model, forget, problem.device)
    mask = saliency_mask({name: value for name, value in gradient.items() if name in moved}, options.keep)
    held = {name: value.detach().clone() for name, value in model.named_parameters()}
    wrong = wrong_labels(forget.labels, problem.classes, problem.seeds.unlearn)
    both = join(forget.taught(as_probabilities(wrong, problem.classes)), problem.retain, problem.classes)
    recipe = recipe_of(problem.recipe, options.steps, options.lr, len(both))
    report = problem.fit(model, both, recipe, problem.seeds, after_step=HoldOthers(mask, held))
    share = sum(int(part.sum()) for part in mask.values()) / sum(part.numel() for part in mask.values())
    return Outcome(model, report, {"n_forget": len(forget), "salient_share": share})
