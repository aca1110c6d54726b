"""A ridge head from its statistics: (G + λ I) W = B by Cholesky, the bias not shrunk; one-vs-rest least squares."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tmu.errors import ModelError
from tmu.models.registry import head_of
from tmu.ridge.statistics import Statistics

SCALE = 10.0
"""Logits are this many times the least squares scores, which are near 0 and 1. A constant: a temperature fitted on
records would be one more thing that learned them."""
TOLERANCE = 1e-9  # of the residual, relative


@dataclass(frozen=True, eq=False)
class Solved:
    """A head. weight: float64 (K, F), bias: float64 (K,), of the scores. condition: of G + λ I, in
    the 1-norm; times 1e-16 it is about how far the heads of two machines may be apart. residual: relative, of the
    equations. loss: mean squared error over the records that are in.
    """

    weight: Tensor
    bias: Tensor
    condition: float
    residual: float
    loss: float

    def distance(self, other: "Solved") -> float:
        """The relative Frobenius distance to another head, the bias included."""
        mine, theirs = (torch.cat([each.weight, each.bias[:, None]], 1) for each in (self, other))
        return float((mine - theirs).norm() / theirs.norm().clamp_min(1e-300))

    def put_into(self, model: nn.Module) -> None:
        """Make it the model's head, in fp32."""
        head = head_of(model)
        with torch.no_grad():
            head.weight.copy_(SCALE * self.weight)
            if head.bias is not None:
                head.bias.copy_(SCALE * self.bias)

    def distance_to_head(self, model: nn.Module) -> float:
        """The relative Frobenius distance of a model's head to this one, as fp32 can hold it: 0 where it is this."""
        head = head_of(model)
        own = torch.cat([head.weight, head.bias[:, None]], 1).detach().cpu()
        wanted = (SCALE * torch.cat([self.weight, self.bias[:, None]], 1)).float()
        return float((own.double() - wanted.double()).norm() / wanted.double().norm().clamp_min(1e-300))


def solve(statistics: Statistics, ridge: float) -> Solved:
    """The head that minimises the squared error plus `ridge` times the squared weights.

    Raises ModelError without records, and where the equations cannot be solved to a relative residual of 1e-9: then
    `ridge` is too small for these features.
    """
    if not statistics.records:
        raise ModelError("There is no record to solve a head from.", "A head needs at least one.")
    moments, responses = statistics.moments, statistics.responses
    penalty = torch.full((statistics.width + 1,), float(ridge), dtype=torch.float64)
    penalty[-1] = 0.0
    system = moments + torch.diag(penalty)
    factor, failed = torch.linalg.cholesky_ex(system)
    solution = torch.cholesky_solve(responses, factor)
    residual = float((system @ solution - responses).norm() / _scale(system, solution, responses))
    if int(failed) or not residual <= TOLERANCE:
        raise ModelError(
            f"The head cannot be solved from its statistics (relative residual {residual:.1g}).",
            "Raise `train.ridge`: the features are too alike for it.",
        )
    condition = float(torch.linalg.matrix_norm(system, 1) * torch.linalg.matrix_norm(torch.cholesky_inverse(factor), 1))
    loss = _loss(statistics, moments, responses, solution)
    return Solved(solution[:-1].T.contiguous(), solution[-1].contiguous(), condition, residual, loss)


def _scale(system: Tensor, solution: Tensor, responses: Tensor) -> Tensor:
    return (system.norm() * solution.norm() + responses.norm()).clamp_min(1e-300)


def _loss(statistics: Statistics, moments: Tensor, responses: Tensor, solution: Tensor) -> float:
    """The mean over records of the squared error summed over classes, from the sums alone."""
    n = statistics.records
    squared = n - 2 * (solution * responses).sum() + (solution * (moments @ solution)).sum()
    return max(0.0, float(squared)) / n
