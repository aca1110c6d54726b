"""AMUN: move the decision boundary at the forget set by teaching its nearest adversarial examples as they are seen.

Formula: for each x in D_f the nearest x_a that the original calls something else, ŷ = argmax θ_o(x_a) ≠ y (L2 PGD
whose radius is doubled until the label flips); min CE over D_f ∪ {(x_a, ŷ)} ∪ D_r. Reference: ICML 2025, arXiv
2503.00917. Cost: `attack_steps` · rounds backward passes over what has not flipped yet, then a few epochs on D.
Failure mode: confidence falls at every forgotten record alike, also at those that a gold would be sure of. Published
hyper-parameters: first radius .04, step a tenth of it, 50 steps, no random start (authors' code); 10 epochs, SGD .01
(ReGUn's code). Our images are bytes: a record has flipped when the rounded x_a has, so the smallest radii find less
than on real numbers.
"""

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tmu.config import Config
from tmu.train import Examples, logits_of
from tmu.train.examples import join
from tmu.train.lane import exact
from tmu.train.memory_format import moved
from tmu.train.order import hash_keys, stream
from tmu.unlearn.finetune import recipe_of
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = False
NEEDS_HOLDOUT = False
CANDIDATES = tuple({"lr": lr, "steps": steps} for steps in (150, 300) for lr in (0.01, 0.05))


class Options(Config):
    """Length, rate and attack."""

    steps: int = Field(150, ge=1)
    lr: float = Field(0.05, gt=0)
    attack_steps: int = Field(50, ge=1)
    epsilon: float = Field(0.04, gt=0, description="first L2 radius, pixels in 0..1")
    rounds: int = Field(10, ge=1, description="radii tried, each twice the last; what has not flipped then is left out")


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Attack D_f, then train on it, on its adversarial examples and on D_r together."""
    adversarial = nearest_adversarial(problem, options)
    both = join(join(problem.forget, adversarial, problem.classes), problem.retain, problem.classes)
    recipe = recipe_of(problem.recipe, options.steps, options.lr, len(both))
    report = problem.fit(problem.model, both, recipe, problem.seeds)
    return Outcome(problem.model, report, {"n_forget": len(problem.forget), "n_adversarial": len(adversarial)})


def nearest_adversarial(problem: Problem, options: Options) -> Examples:
    """The adversarial examples that were found, labelled as the model sees them; each has a key of its own."""
    model, forget = moved(problem.model, problem.device).eval(), problem.forget
    images, answers = forget.images.clone(), forget.labels.clone()
    for tried in range(options.rounds):
        left = (answers == forget.labels).nonzero()[:, 0]
        for rows in left.split(512) if len(left) else ():
            views, labels = forget.images[rows].to(problem.device), forget.labels[rows].to(problem.device)
            attacked = attack_l2(model, views.float() / 255, labels, options.epsilon * 2**tried, options.attack_steps)
            images[rows] = (attacked * 255).round().to(images)
            answers[rows] = logits_of(model, images[rows], device=problem.device).argmax(1).to(answers)
    keys = torch.from_numpy(hash_keys(forget.keys, stream(problem.seeds.unlearn, "adversarial")).view("int64"))
    return Examples(images, answers, keys.to(forget.keys)).take(answers != forget.labels)


def attack_l2(model: nn.Module, views: Tensor, labels: Tensor, epsilon: float, steps: int) -> Tensor:
    """PGD on the cross-entropy in an L2 ball around views (N, C, H, W) in 0..1; step epsilon / 10, no random start."""
    attacked = views.clone()
    with exact():
        for _ in range(steps):
            attacked.requires_grad_(True)
            (gradient,) = torch.autograd.grad(cross_entropy(model(attacked), labels, reduction="sum"), attacked)
            moved = attacked.detach() + epsilon / 10 * gradient / _norm(gradient) - views
            attacked = (views + moved * (epsilon / _norm(moved)).clamp_max(1.0)).clamp(0, 1)
    return attacked


def _norm(images: Tensor) -> Tensor:
    """L2 norms (N, 1, 1, 1), never zero."""
    return images.flatten(1).norm(dim=1).clamp_min(1e-20)[:, None, None, None]
