"""`tmu-soft` with switches that take its parts out one by one, for the ablation rows of the suites.

Formula: that of `tmu/unlearn/tmu_soft.py`; with no switch set the weights are the same bit for bit
(`tests/unit/bench/test_variants.py`). Reference: `docs/decisions/0006-soft-targets.md` tells what was measured with it.
Cost: as `tmu-soft`; a term left out is fitted anew, a few seconds. Failure mode: none of its own.
"""

from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from tmu.train import Examples, logits_of
from tmu.train.examples import as_probabilities, join
from tmu.train.order import batch_count
from tmu.twin.margins import margin_of, mean_shift, with_margin
from tmu.twin.side import Side, make_side
from tmu.twin.target import TERMS, TargetModel, fit_targets, moved_by_loss, terms_of
from tmu.twin.twin import random_side
from tmu.unlearn import tmu_soft as soft
from tmu.unlearn.finetune import recipe_of
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = True
NEEDS_HOLDOUT = True


class Options(soft.Options):
    """The product's options, and a switch for each part."""

    labels: Literal["soft", "hard"] = Field("soft", description="`hard`: the arg-max of q")
    without: Literal["", "unseen", "seen", "early", "neighbours"] = Field("", description="a term left out of q")
    matched: bool = Field(True, description="margins distributed as on the forget set, else as on the hold-out")
    sharpness: Literal["mean", "quantile", "envelope"] = Field("envelope", description="how margins become a gold's")
    balanced: bool = Field(True, description="else the labels alone teach the records that the original gets wrong")
    calibrated: bool = Field(True, description="scale the head to a gold's margins on the hold-out")


def unlearn(problem: Problem, options: Options) -> Outcome:
    """The steps of `tmu-soft`, each with its switch."""
    forget, retain, classes = problem.forget, problem.retain, problem.classes
    q = predicted_targets(problem, options)
    expected = 1 - float(q.gather(1, forget.labels.cpu()[:, None]).mean())
    if options.labels == "hard":
        q = as_probabilities(q.argmax(1), classes)
    taught = forget.taught(q.to(forget.labels.device), weight=options.forget_weight)
    errors = expected * len(forget) if options.balanced else float("inf")
    r, answers = soft.retain_targets(problem, options.retain_teacher, errors)
    if options.retain_teacher or answers:
        retain = retain.taught(r)
    both = join(taught, retain, classes)
    recipe = recipe_of(problem.recipe, options.steps, options.lr, len(both))
    steps = recipe.epochs * batch_count(len(both), recipe.batch_size)
    hook = soft.calibration(problem, steps) if options.calibrated else None
    report = problem.fit(problem.model, both, recipe, problem.seeds, after_step=hook)
    notes = {"n_forget": len(forget), "mean_p_wrong": expected, "answers_where_wrong": answers}
    return Outcome(problem.model, report, notes | ({"confidence_factor": hook.factor} if hook else {}))


def predicted_targets(problem: Problem, options: Options) -> Tensor:
    """q (N, K) for the forget set, without the part that an option takes out."""
    twin, labels, lost = problem.twin, problem.forget.labels.cpu(), soft.shares_lost(problem)
    side = twin.side(problem.model, problem.forget, problem.retain, problem.device)
    model = twin.targets if not options.without else fitted_without(problem, options.without)
    if options.without == "unseen":
        side = replace(side, unseen=None)
    q = model.raw(_terms(side, options.without), labels)
    told = options.matched and side.unseen is not None and float(model.a[TERMS.index("unseen")]) != 0
    unseen = margin_of(side.unseen.exp(), labels) if told else None
    margins = _sharpened(model, margin_of(q, labels), float(lost[-1]), unseen, options.sharpness)
    return with_margin(q, labels, moved_by_loss(margins, labels, lost))


def _sharpened(model: TargetModel, margins: Tensor, lost: float, unseen: Tensor | None, sharpness: str) -> Tensor:
    """`mean`: shifted to the right mean only. `quantile`: distributed as one gold's. `envelope`: as the product."""
    if sharpness == "envelope":
        return model.margins.apply(margins, lost, unseen)
    quantile = model.margins.quantile(margins, lost, unseen)
    if sharpness == "quantile":
        return quantile
    if unseen is None:
        return model.margins.mean(margins, lost)
    return margins + mean_shift(margins, float(torch.sigmoid(quantile).mean()))


def fitted_without(problem: Problem, term: str) -> TargetModel:
    """The twin's target model, fitted anew without one term.

    The problem must be the first deletion from the original that the twin was fitted for: forget and retain set
    together are D.
    """
    twin, original, holdout, device = problem.twin, problem.model, problem.holdout, problem.device
    train, seed = _whole(problem), problem.seeds.evaluate
    side = make_side(twin.model, holdout, train, twin.curriculum, twin.config, device, twin.cross_fit)
    seen = random_side(original, train, twin.curriculum, twin.cross_fit, twin.config, seed, device)
    unseen = logits_of(original, holdout.images, device=device)
    other = None if twin.cross_fit is None else twin.cross_fit.other(holdout, device)
    calibrate = (_terms(seen, term), seen.samples.labels.cpu())
    return fit_targets(_terms(side, term), holdout.labels.cpu(), unseen, other, calibrate)


def _terms(side: Side, without: str) -> Tensor:
    """f (N, K, 4); a term that is left out is 0, so that its coefficient stays 0."""
    f = terms_of(side)
    if without:
        f[:, :, TERMS.index(without)] = 0
    return f


def _whole(problem: Problem) -> Examples:
    """D, in the order of the keys."""
    both = join(problem.forget, problem.retain, problem.classes)
    return Examples(both.images, both.labels, both.keys).take(both.keys.argsort())
