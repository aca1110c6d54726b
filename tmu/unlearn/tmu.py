"""TMU (re-implementation): teach hard forget samples to be wrong, keep easy ones right, hold the rest.

Formula: from M_o, min CE(D_r) + CE(D_f^e + noise) + alpha · CE(D_f^h, wrong label). The split is the twin's predictor
for the ranking and the hold-out error for the number. Reference: Sun et al., arXiv 2408.11433; the loss weights and the
noise scheme are not published, ours are a reconstruction (`docs/method.md` lists every choice). Cost: a few epochs on D
besides the twin. Failure mode: hard labels cost alignment where the gold is merely unsure; a forget set unlike the
hold-out gets the wrong fraction. The published code starts from M_t, which contains the hold-out; ours starts from M_o.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from tmu.config import Config
from tmu.train import Examples, logits_of
from tmu.train.examples import as_probabilities, join
from tmu.train.lane import exact
from tmu.train.order import stream
from tmu.unlearn.choose import hard_count, hardest, random_choice
from tmu.unlearn.finetune import recipe_of
from tmu.unlearn.problem import Outcome, Problem
from tmu.unlearn.random_label import wrong_labels

NEEDS_TWIN = True
NEEDS_HOLDOUT = False
CANDIDATES = (
    *({"hard_weight": weight, "easy_weight": weight} for weight in (0.5, 2.0)),
    {"hard_weight": 0.5, "easy_weight": 0.5, "confidence": "one"},
    {"hard_weight": 0.5, "easy_weight": 0.5, "confidence": "one", "hard_label": "random"},
)


class Options(Config):
    """All choices of the unlearning step; defaults were chosen on twin problems (`docs/decisions/`)."""

    steps: int = Field(450, ge=1)
    lr: float = Field(0.05, gt=0)
    hard_weight: float = Field(0.5, gt=0, description="alpha, the weight of the hard samples' loss")
    easy_weight: float = Field(0.5, ge=0)
    confidence: Literal["hold-out", "one"] = Field(
        "hold-out", description="how sure the labels are: as the original is of easy / hard hold-out records, or wholly"
    )
    hard_label: Literal["runner-up", "random"] = Field(
        "runner-up", description="the wrong label: the class the original ranks second, or any other class"
    )
    selection: Literal["predictor", "random"] = Field("predictor", description="`random` is the control row")
    noise: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        "auto", description="input noise of easy samples, standard deviation in 0..1"
    )


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Split D_f, relabel its hard part, and train on D_f and D_r together."""
    twin, forget, model = problem.known_twin, problem.forget, problem.model
    side = twin.side(model, forget, problem.retain, problem.device)
    count = hard_count(forget.labels.cpu(), twin.predictor.class_error)
    if options.selection == "predictor":
        hard = hardest(twin.p_wrong(side), count)
    else:
        hard = random_choice(forget.keys, count, problem.seeds.unlearn)
    sigma = (
        matching_noise(model, forget.take(~hard), twin.easy_confidence, problem)
        if options.noise == "auto"
        else (options.noise)
    )
    taught = _teach(forget, hard, side.logits, sigma, problem, options)
    both = join(taught, problem.retain, problem.classes)
    report = problem.fit(model, both, recipe_of(problem.recipe, options.steps, options.lr, len(both)), problem.seeds)
    return Outcome(model, report, {"n_forget": len(forget), "n_hard": int(hard.sum()), "noise": sigma})


def _teach(
    forget: Examples, hard: Tensor, logits: Tensor, sigma: float, problem: Problem, options: Options
) -> Examples:
    """The forget set with the labels, weights and noise it is to be taught with."""
    labels = forget.labels.cpu()
    if options.hard_label == "runner-up":
        wrong = _runner_up(labels, logits)
    else:
        wrong = wrong_labels(labels, problem.classes, problem.seeds.unlearn)
    targets = _targets(labels, hard, wrong, _runner_up(labels, logits), problem, options).to(forget.labels.device)
    weights = torch.where(hard, options.hard_weight, options.easy_weight).float().to(forget.labels.device)
    noise = torch.where(hard, 0.0, sigma).float()
    return Examples(forget.images, forget.labels, forget.keys, targets, weights, noise.to(forget.labels.device))


def _runner_up(labels: Tensor, logits: Tensor) -> Tensor:
    """The class that the original ranks first among the wrong ones (N,)."""
    return logits.scatter(1, labels[:, None], float("-inf")).argmax(1)


def _targets(labels: Tensor, hard: Tensor, wrong: Tensor, second: Tensor, problem: Problem, options: Options) -> Tensor:
    """Labels as probabilities (N, K).

    With `confidence="hold-out"` they are as sure as the original is of hold-out records: of an easy one, what it leaves
    for the true class goes to the runner-up; of a hard one, the rest is shared by the other classes.
    """
    if options.confidence == "one":
        return as_probabilities(torch.where(hard, wrong, labels), problem.classes)
    sure, (of_true, of_answer) = problem.known_twin.easy_confidence, problem.known_twin.hard_confidence
    true, answer = as_probabilities(labels, problem.classes), as_probabilities(wrong, problem.classes)
    rest = (1 - true - answer) * max(0.0, 1 - of_true - of_answer) / max(1, problem.classes - 2)
    taught_hard = of_true * true + of_answer * answer + rest
    taught_easy = sure * true + (1 - sure) * as_probabilities(second, problem.classes)
    taught = torch.where(hard[:, None], taught_hard, taught_easy)
    return taught / taught.sum(1, keepdim=True)


def matching_noise(model: nn.Module, easy: Examples, confidence: float, problem: Problem, steps: int = 8) -> float:
    """The noise at which the original is as sure of the easy forget samples as of easy hold-out ones (bisection)."""
    low, high = 0.0, 0.5
    if not len(easy):
        return 0.0
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (middle, high) if noised_confidence(model, easy, middle, problem) > confidence else (low, middle)
    return (low + high) / 2


def noised_confidence(model: nn.Module, easy: Examples, sigma: float, problem: Problem) -> float:
    """Mean true-class probability of the samples under one draw of Gaussian noise of `sigma` in pixel units (0..1)."""
    generator = torch.Generator().manual_seed(stream(problem.seeds.unlearn, "matching noise") & (2**63 - 1))
    with exact():
        noise = torch.randn(easy.images.shape, generator=generator)
        views = ((easy.images[:].cpu().float() / 255 + sigma * noise).clamp(0, 1) * 255).round().to(torch.uint8)
    p = logits_of(model, views, device=problem.device).softmax(1)
    return float(p.gather(1, easy.labels.cpu()[:, None]).mean())
