"""The part of the shift test that needs counts alone, so that it is known when a deletion is planned.

Class mix of forget set and hold-out: chi-square, with its exact null (multivariate hypergeometric, by Monte Carlo); and
the share rho_c of each class that the request removes. Shift means significant (alpha) AND large: a big set makes the
smallest difference significant, a small one makes any difference look large.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tmu.train.order import stream


@dataclass(frozen=True)
class Limits:
    """What counts as a shift, and what weights cannot correct."""

    alpha: float = 0.01  # level of both tests
    mix_distance: float = 0.1  # total variation between the class mixes, 0..1
    auc: float = 0.6  # within-class AUC of forget set against hold-out
    residual_auc: float = 0.65  # the same once the hold-out is re-weighted
    effective: float = 30.0  # hold-out records that the weights leave (Kish's effective sample size)
    removed: float = 0.5  # share of a class; the shift of the prior by log(1 - rho) is a first-order correction
    odds: float = 20.0  # bound of a weight's odds, and of their inverse
    draws: int = 1999  # of the class mix
    permutations: int = 199  # of the features
    least: int = 10  # fewer forget records: their features cannot be told from any
    most: tuple[int, int] = (2000, 6000)  # forget and hold-out records that the permutation test looks at


LIMITS = Limits()


@dataclass(frozen=True)
class ClassShift:
    """Class mixes compared. distance: total variation, 0..1; p: of equal mixes; removed: rho (K,), 0..1.

    missing: classes of the forget set without a hold-out record. effective: how many equally weighted hold-out records
    are worth as much as those there are, once weighted to the request's classes. names: of the classes, for sentences.
    """

    p: float
    distance: float
    removed: list[float]
    missing: list[int]
    effective: float
    names: tuple[str, ...] = field(default=(), repr=False)
    limits: Limits = field(default=LIMITS, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Plain numbers for a report."""
        return {"p": self.p, "distance": self.distance, "removed": max(self.removed), "effective": self.effective}

    @property
    def differs(self) -> bool:
        """Whether the class mixes differ, significantly and by enough to matter."""
        return self.p < self.limits.alpha and self.distance > self.limits.mix_distance

    def refusal(self) -> str | None:
        """Why no weighting helps, as a clause; None where it may."""
        worst, limits = int(np.argmax(self.removed)), self.limits
        if self.removed[worst] > limits.removed:
            return (
                f"the request takes {100 * self.removed[worst]:.0f} % of the training records of class "
                f"`{self._name(worst)}`, more than {100 * limits.removed:.0f} %"
            )
        if self.missing:
            return f"class `{self._name(self.missing[0])}` has no hold-out record"
        if self.differs and self.effective < limits.effective:
            return f"the hold-out is worth {self.effective:.0f} records once it is weighted to the request's classes"
        return None

    def _name(self, index: int) -> str:
        return self.names[index] if self.names else str(index)


def class_shift(
    forget: np.ndarray,
    retain: np.ndarray,
    holdout: np.ndarray,
    *,
    names: Sequence[str] = (),
    seed: int = 0,
    limits: Limits = LIMITS,
) -> ClassShift:
    """From records by class (K,) of forget set, retain set and hold-out."""
    forget, retain, holdout = (np.asarray(counts, dtype=np.int64) for counts in (forget, retain, holdout))
    removed = forget / np.maximum(forget + retain, 1)
    missing = np.flatnonzero((forget > 0) & (holdout == 0)).tolist()
    wanted, there = forget / max(forget.sum(), 1), holdout / max(holdout.sum(), 1)
    distance = float(np.abs(wanted - there).sum() / 2)
    effective = kish(np.repeat(wanted / np.maximum(there, 1e-12), holdout))
    p = _chance(forget, holdout, limits.draws, seed)
    return ClassShift(p, distance, removed.tolist(), missing, effective, tuple(names), limits)


def kish(weights: np.ndarray) -> float:
    """Effective sample size of weights (N,): (Σ w)² / Σ w². Kish, Survey Sampling, 1965."""
    return float(weights.sum() ** 2 / max((weights**2).sum(), 1e-12))


def _chance(forget: np.ndarray, holdout: np.ndarray, draws: int, seed: int) -> float:
    n, m, pool = int(forget.sum()), int(holdout.sum()), forget + holdout
    if not n or not m:
        return 1.0
    expected = pool * n / (n + m)

    def chi(counts: np.ndarray) -> np.ndarray:
        return ((counts - expected) ** 2 / np.maximum(expected, 1e-12)).sum(-1)

    random = np.random.default_rng(stream(seed, "class mix"))
    null = chi(random.multivariate_hypergeometric(pool, n, size=draws, method="marginals"))
    return float((1 + (null >= chi(forget) - 1e-9).sum()) / (1 + draws))
