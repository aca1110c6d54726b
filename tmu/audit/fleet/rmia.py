"""RMIA, offline: is a record likelier under the target than most population records are, given reference models?

ratio_x = p_target(x) / [ (1 + a)/2 · mean p_out(x) + (1 - a)/2 ], a = .3; score(x) = share of population records z with
ratio_x / ratio_z > gamma, gamma = 1 (arXiv 2312.03262). p is the true-class probability, 0..1. Works with 1 to 4
reference models. Direction: the aim is the gold's number (AUC about one half); far below one half stands out, too.
Every reference model that never saw the record is used, and only those. The public code's default keeps the largest
half of the OUT signals and pads with zeros where a record has fewer, which changes the AUC (0.85 to 0.75 or 0.83 on one
example). Records should be OUT in equally many models: a mean of fewer references is noisier.
Floor: the same number with a gold as the target. Cost: one sort of the population, O((N + Z) log Z).
"""

import numpy as np

from tmu.audit.fleet.attack import AttackNumbers, attack_numbers
from tmu.audit.fleet.sides import check_sides
from tmu.errors import DataError

OFFLINE_A = 0.3
GAMMA = 1.0


def rmia_scores(
    target: np.ndarray,
    references: np.ndarray,
    out: np.ndarray,
    population: np.ndarray,
    population_references: np.ndarray,
    *,
    a: float = OFFLINE_A,
    gamma: float = GAMMA,
) -> np.ndarray:
    """RMIA score (N,), 0..1, higher meaning member.

    `target` (N,) and `references` (S, N): true-class probabilities of the records under the target and the reference
    models; `out` (S, N) bool: which reference never saw the record. `population` (Z,), `population_references` (S, Z):
    the same of records that no model saw. Raises DataError for shapes that do not fit, a record without a reference,
    or an empty population.
    """
    check_sides(references, target[None], at_least=1)
    check_sides(population_references, population[None], at_least=1)
    if not out.any(axis=0).all():
        raise DataError("A record was seen by every reference model.", "Train a reference model without that record.")
    mean_out = np.where(out, references, 0.0).sum(axis=0, dtype=np.float64) / out.sum(axis=0)
    ratios = rmia_ratios(target, mean_out, a)
    bars = np.sort(gamma * rmia_ratios(population, population_references.mean(axis=0, dtype=np.float64), a))
    return np.searchsorted(bars, ratios, side="left") / len(bars)


def rmia_ratios(target: np.ndarray, mean_out: np.ndarray, a: float = OFFLINE_A) -> np.ndarray:
    """ratio_x (N,) of true-class probabilities (N,) and their mean over OUT references (N,); increasing in `target`.

    With gamma = 1 and the non-members as population, the score is the share of non-members with a smaller ratio: the
    ratios rank as the scores do.
    """
    return target / ((1 + a) / 2 * mean_out + (1 - a) / 2)


def rmia(scores: np.ndarray, member: np.ndarray) -> AttackNumbers:
    """AUC and TPR at 1 % and 0.1 % FPR of `rmia_scores` (N,), with `member` (N,) bool."""
    return attack_numbers(scores[member], scores[~member])
