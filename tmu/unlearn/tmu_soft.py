"""TMU with soft generalisation labels: teach the forget set what a model that has not seen it would say.

Formula: from M_o, min CE(r(x), p(x)) over D_r + beta · CE(q(x), p(x)) over D_f; q is predicted by the twin's target
model, r = (1 - tau) · label + tau · M_o's probabilities, which keeps the original's confidence on what stays. Where M_o
is wrong, r goes the further over to its answer the less there is to unlearn (`balance`). Twice the head is scaled so
that the model is as sure of the hold-out as a gold would be (`level.py`).
Reference: ours; it answers the reviewers' points on the arg-max label and on teaching the easy samples
(`docs/method.md`). Cost: as `tmu`. Failure mode: a forget set unlike the hold-out, as far as the unseen halves do not
show it. The options below `retain_teacher` are for ablation.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from tmu.config import Config
from tmu.train import Examples, logits_of
from tmu.train.examples import as_probabilities, join
from tmu.train.order import batch_count
from tmu.twin.margins import Sharpness
from tmu.unlearn.choose import random_choice
from tmu.unlearn.concentrate import concentrate
from tmu.unlearn.finetune import recipe_of
from tmu.unlearn.level import Leveller, expected_margins
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = True
NEEDS_HOLDOUT = True
_BALANCE = 3.0  # records of D_r with their labels that make up for one error taught to D_f (`docs/decisions/0006-…`)
_LEVEL_RECORDS = 1000  # of the hold-out, at most: the factor's standard deviation over draws is .0035


class Options(Config):
    """All choices of the unlearning step; defaults were chosen on twin problems (`docs/decisions/`)."""

    steps: int = Field(450, ge=1)
    lr: float = Field(0.05, gt=0)
    forget_weight: float = Field(5.0, gt=0, description="beta, the weight of the forget set's loss")
    retain_teacher: float = Field(0.5, ge=0, le=1, description="tau, the original's share in what D_r is taught")
    levelled: bool = Field(True, description="scale the head to a gold's margins on the hold-out")
    sharpness: Sharpness = Field("envelope", description="how the predicted margins become a gold's (`margins.py`)")
    matched: bool = Field(True, description="margins distributed as the unseen halves' on D_f, not as on the hold-out")
    concentrated: bool = Field(False, description="the other classes share their part as unevenly as with a gold")
    unlearnt: Literal["labels", "balanced", "answers"] = Field(
        "balanced", description="taught to records of D_r that M_o gets wrong: label, its answer, or as `balance` says"
    )
    without: Literal["", "unseen", "seen", "early", "neighbours"] = Field("", description="a term left out of q")
    labels: Literal["soft", "hard"] = Field("soft", description="`hard`: the arg-max of q")
    noise: float = Field(0.0, ge=0, description="input noise on D_f, standard deviation in 0..1")


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Predict the targets, then train on D_f (soft) and D_r together."""
    forget, retain, classes = problem.forget, problem.retain, problem.classes
    q = predicted_targets(problem, options)
    expected = 1 - float(q.gather(1, forget.labels.cpu()[:, None]).mean())
    if options.labels == "hard":
        q = as_probabilities(q.argmax(1), classes)
    taught = forget.taught(q.to(forget.labels.device), weight=options.forget_weight, noise=options.noise)
    r, answers = _taught_to_retain(problem, options, expected * len(forget))
    if options.retain_teacher or answers:
        retain = retain.taught(r)
    both = join(taught, retain, classes)
    recipe = recipe_of(problem.recipe, options.steps, options.lr, len(both))
    steps = recipe.epochs * batch_count(len(both), recipe.batch_size)
    hook = _leveller(problem, steps) if options.levelled else None
    report = problem.fit(problem.model, both, recipe, problem.seeds, after_step=hook)
    notes = {"n_forget": len(forget), "mean_p_wrong": expected, "answers_where_wrong": answers}
    return Outcome(problem.model, report, notes | ({"confidence_factor": hook.factor} if hook else {}))


def _taught_to_retain(problem: Problem, options: Options, errors: float) -> tuple[Tensor, float]:
    """(r (N, K), the share of M_o's answers where it is wrong). errors: as many as D_f is expected to show."""
    retain = problem.retain
    p = logits_of(problem.model, retain.images, device=problem.device).softmax(1).to(retain.labels.device)
    taught = torch.lerp(as_probabilities(retain.labels, problem.classes), p, options.retain_teacher)
    wrong = p.argmax(1) != retain.labels
    share = {"labels": 0.0, "answers": 1.0}.get(options.unlearnt, balance(errors, int(wrong.sum())))
    return torch.where(wrong[:, None], torch.lerp(taught, p, share), taught), share


def balance(errors: float, wrong: int) -> float:
    """The share 0..1 of the original's answers in what the `wrong` records of D_r that it gets wrong are taught.

    Learning on with their labels mends some of them; unlearning costs others, the more errors D_f is taught. A gold is
    as right about D_r as the original, so the labels are taught as far as they are needed to make up for the loss.
    """
    return max(0.0, 1 - _BALANCE * errors / max(1, wrong))


def _leveller(problem: Problem, steps: int) -> Leveller | None:
    """What keeps the model as sure as a gold."""
    lost, holdout = _lost(problem), _kept_holdout(problem)
    if not len(holdout):
        return None
    drawn = random_choice(holdout.keys, _LEVEL_RECORDS, problem.seeds.evaluate, "level")
    holdout = holdout.take(drawn.to(holdout.labels.device))
    gold = expected_margins(problem.model, problem.twin.halves, holdout, float(lost[-1]), problem.device)
    return Leveller(holdout, gold, steps, problem.device)


def predicted_targets(problem: Problem, options: Options | None = None) -> Tensor:
    """q (N, K) for the forget set, told what the removal does to the classes and to the size of D."""
    options, twin = options or Options(), problem.twin
    side = twin.side(problem.model, problem.forget, problem.retain, problem.device)
    model, lost = twin.ablated[options.without] if options.without else twin.targets, _lost(problem)
    q = model.probabilities(side, lost=lost, sharpness=options.sharpness, matched=options.matched)
    if options.concentrated:
        labels, holdout = problem.forget.labels.cpu(), _kept_holdout(problem)
        gold = logits_of(problem.model, holdout.images, device=problem.device).softmax(1)
        some = lost[:-1][labels] < 1
        q[some], _ = concentrate(q[some], labels[some], gold, holdout.labels.cpu())
    return q


def _kept_holdout(problem: Problem) -> Examples:
    """The hold-out without the classes that go as a whole: no gold knows them."""
    labels = problem.holdout.labels
    return problem.holdout.take((_lost(problem)[:-1] < 1).to(labels.device)[labels])


def _lost(problem: Problem) -> Tensor:
    """The share of D that goes, by class and in the last place of all: (K+1,)."""
    gone, kept = (
        torch.bincount(part.labels.cpu(), minlength=problem.classes).float()
        for part in (problem.forget, problem.retain)
    )
    gone, kept = (torch.cat([counts, counts.sum()[None]]) for counts in (gone, kept))
    return gone / (gone + kept).clamp_min(1)
