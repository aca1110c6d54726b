"""SFR-on: now and then a step away from the forget set on the weights that matter to it, and repair on the retain set.

Formula: SGD on CE(D_r); after every T_in-th step but the last, θ ← θ - lr_t / (1 - momentum) · m ⊙ ∇[ -alpha_t ·
mean_i( w_i · CE_i ) ] over a batch of D_f, gradient norm clipped; w_i ∝ 1 / CE_i^lambda with mean 1 over the batch,
m = 1[ F_f >= gamma · F_r ] from the diagonal Fisher information at the original, alpha_t falls by a half cosine. The
divisor makes the step at once as long as an optimiser's momentum makes it in time, but only where m allows.
Reference: Huang et al., "Unified gradient-based machine unlearning with remain geometry enhancement", NeurIPS 2024.
Cost: the steps on D_r, a fifth more for D_f, and one gradient of every record of D. Failure mode: seed variance is
large; where the original knows D_f by heart (CE below .001) alpha 25 hardly moves it, and too large an alpha leaves
damage that the last steps do not repair. Published hyper-parameters: T_in 5, 1500 steps, SGD .01, momentum .9, wd 5e-4,
alpha 25, lambda .5, gamma 1, clip 7, cosine, batch 128 (code, CIFAR-10, 10 %); alpha 31 (DualOptim's text).
"""

import math
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tmu.config import Config, Seeds, TrainConfig
from tmu.errors import DataError
from tmu.train import Examples
from tmu.train.memory_format import arranged
from tmu.train.optimisers import trained
from tmu.train.order import batch_count, batches, epoch_order, stream, view_bits
from tmu.train.schedule import learning_rate
from tmu.train.views import views_of
from tmu.unlearn.finetune import recipe_of
from tmu.unlearn.importance import diagonal_fisher
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = False
NEEDS_HOLDOUT = False
CANDIDATES = tuple({"lr": lr, "alpha": alpha, "steps": 450} for alpha in (5.0, 25.0) for lr in (0.01, 0.05))


class Options(Config):
    """Length, rate and the forget step."""

    steps: int = Field(450, ge=1)
    lr: float = Field(0.01, gt=0)
    every: int = Field(5, ge=1, description="T_in: retain steps before each forget step")
    alpha: float = Field(25.0, gt=0, description="weight of the forget step at the start")
    adaptivity: float = Field(0.5, ge=0, description="lambda: records weigh 1 / CE^lambda in a forget step")
    gamma: float = Field(1.0, gt=0, description="forget steps move weights with F_f >= gamma * F_r")
    clip_norm: float = Field(7.0, gt=0, description="largest gradient norm of a forget step")


@dataclass(frozen=True)
class ForgetStep:
    """The engine's hook: every `options.every` steps, one masked step up on the next batch of D_f."""

    forget: Examples
    mask: dict[str, Tensor]
    options: Options
    recipe: TrainConfig
    seeds: Seeds
    steps: int

    def __call__(self, model: nn.Module, done: int) -> None:
        """Step in place where one is due; all depends on `done` alone, so that a resumed run goes on exactly."""
        number, rest = divmod(done, self.options.every)
        if rest or done == self.steps:
            return
        views, labels = self.batch_of(number - 1)
        alpha = self.options.alpha * 0.5 * (1 + math.cos(math.pi * done / self.steps))
        losses = cross_entropy(model(arranged(views, model)), labels, reduction="none")
        loss = -alpha * weighed_loss(losses, self.options.adaptivity)
        rate = learning_rate(self.recipe, done, self.steps) / (1 - self.recipe.momentum)
        masked_step(model, loss, self.mask, rate, self.options.clip_norm)

    def batch_of(self, number: int) -> tuple[Tensor, Tensor]:
        """Views and labels of a step's forget samples; all of the forget set comes once a pass."""
        keys, size = self.forget.keys, self.recipe.batch_size
        epoch, place = divmod(number, batch_count(len(keys), size))
        rows = batches(epoch_order(keys, stream(self.seeds.order, "forget step"), epoch), size)[place]
        bits = view_bits(keys, stream(self.seeds.augment, "forget step"), epoch)
        return views_of(self.forget.images[rows], bits[rows], self.recipe), self.forget.labels[rows]


def weighed_loss(losses: Tensor, adaptivity: float) -> Tensor:
    """mean_i( w_i · CE_i ) of losses (B,): w_i ∝ 1 / CE_i^lambda with mean 1, constants to the gradient."""
    weights = losses.detach().clamp_min(1e-8) ** -adaptivity
    return (weights / weights.mean() * losses).mean()


def masked_step(model: nn.Module, loss: Tensor, mask: dict[str, Tensor], lr: float, clip_norm: float) -> None:
    """θ ← θ - lr · m ⊙ ∇loss with the masked gradient's norm clipped; weights outside the mask keep their bits."""
    moved = {name: parameter for name, parameter in model.named_parameters() if name in mask}
    names, parameters = list(moved), list(moved.values())
    gradients = [part * mask[name] for name, part in zip(names, torch.autograd.grad(loss, parameters), strict=True)]
    norm = torch.stack([part.norm() for part in gradients]).norm()
    factor = lr * (clip_norm / norm.clamp_min(1e-12)).clamp_max(1.0)
    with torch.no_grad():
        for parameter, part in zip(parameters, gradients, strict=True):
            parameter.sub_(factor * part)


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Train on D_r with forget steps in between. Raises DataError for fewer than two forgotten records."""
    model, forget, device = problem.model, problem.forget, problem.device
    if len(forget) < 2:
        raise DataError(f"There are {len(forget)} records to forget.", "SFR-on needs two; choose another method.")
    of_forget, of_retain = (diagonal_fisher(model, part, device) for part in (forget, problem.retain))
    moved = trained(model, problem.recipe)
    mask = {name: value >= options.gamma * of_retain[name] for name, value in of_forget.items() if name in moved}
    recipe = recipe_of(problem.recipe, options.steps, options.lr, len(problem.retain))
    recipe = recipe.model_copy(update={"schedule": "cosine"})
    steps = recipe.epochs * batch_count(len(problem.retain), recipe.batch_size)
    hook = ForgetStep(forget.to(device), mask, options, recipe, problem.seeds, steps)
    report = problem.fit(model, problem.retain, recipe, problem.seeds, after_step=hook)
    share = sum(int(part.sum()) for part in mask.values()) / sum(part.numel() for part in mask.values())
    return Outcome(model, report, {"n_forget": len(forget), "masked_in_share": share})
