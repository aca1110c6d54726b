"""TMU with soft generalisation labels: teach the forget set what a model that has not seen it would say.

Formula: from M_o, min CE(D_r) + beta · CE(q(x), p(x)) over D_f, with q predicted by the twin's target model. Reference:
ours; it answers the reviewers' points on the arg-max label and on teaching the easy samples (`docs/method.md`). Cost:
as `tmu`. Failure mode: a forget set unlike the hold-out. Noise and wrong labels are not needed: q is the whole target.
"""

import torch
from pydantic import Field
from torch import Tensor

from tmu.config import Config
from tmu.train.examples import join
from tmu.twin.features import compute_features
from tmu.unlearn.finetune import recipe_of
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = True
NEEDS_HOLDOUT = False


class Options(Config):
    """All choices of the unlearning step; defaults were chosen on twin problems (`docs/decisions/`)."""

    steps: int = Field(450, ge=1)
    lr: float = Field(0.05, gt=0)
    forget_weight: float = Field(5.0, gt=0, description="beta, the weight of the forget set's loss")


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Predict the targets, then train on D_f (soft) and D_r (labels) together."""
    targets = predicted_targets(problem)
    taught = problem.forget.taught(targets.to(problem.forget.labels.device), weight=options.forget_weight)
    both = join(taught, problem.retain, problem.classes)
    report = problem.fit(
        problem.model, both, recipe_of(problem.recipe, options.steps, options.lr, len(both)), problem.seeds
    )
    expected = 1 - float(targets.gather(1, problem.forget.labels.cpu()[:, None]).mean())
    return Outcome(problem.model, report, {"n_forget": len(problem.forget), "mean_p_wrong": expected})


def predicted_targets(problem: Problem) -> Tensor:
    """q (N, K) for the forget set, moved for what the removal itself does to the class prior.

    A gold that lost the share rho of class c predicts c less often: the true class's logit moves by log(1 - rho_c).
    """
    twin = problem.twin
    side = twin.side(problem.model, problem.forget, problem.retain, problem.device)
    q = twin.targets.probabilities(side, compute_features(side), twin.predictor)
    labels = problem.forget.labels.cpu()
    lost = torch.bincount(labels, minlength=problem.classes).float()
    kept = torch.bincount(problem.retain.labels.cpu(), minlength=problem.classes).float()
    share = (lost / (lost + kept).clamp_min(1)).clamp_max(0.99)
    return q.log().scatter_add(1, labels[:, None], torch.log1p(-share)[labels][:, None]).softmax(1)
