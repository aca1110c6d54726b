"""A control that must not pass: the last layer alone is taught the references' answers, the body stays as it was.

Formula: min CE(u(x), W phi(x)) over D_f and the replay pool, phi of M_o, by L-BFGS from M_o's own head; u as in
`oracle_matching.py`. Reference: the attack on output-only audits that IDI describes. Cost: a pass over both sets and
the fit. Failure mode: that is its purpose.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from tmu.config import Config
from tmu.models.registry import head_of
from tmu.train import Fit
from tmu.train.predict import predict
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = False
NEEDS_HOLDOUT = False
NEEDS_REFERENCES = True
NEEDS_LESSONS = False
_DECAY = 1e-4


class Options(Config):
    """None."""


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Fit the head."""
    sets = (problem.forget, problem.lessons.forget.unseen()), (problem.retain, problem.lessons.replay.learned())
    features = [predict(problem.model, part.images, device=problem.device)[1] for part, _ in sets]
    head = head_of(problem.model).float().cpu()
    optimiser = torch.optim.LBFGS(head.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        losses = [cross_entropy(head(phi), said) for phi, (_, said) in zip(features, sets, strict=True)]
        total = torch.stack(losses).sum() + _DECAY * head.weight.square().sum()
        total.backward()
        return total

    optimiser.step(loss)
    problem.model.to(problem.device).eval()
    return Outcome(problem.model, Fit([], 0, 0.0, "fp32"))
