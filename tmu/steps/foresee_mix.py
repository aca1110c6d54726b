"""The class mix of a request beside the hold-out's, fast enough for ten thousand requests over a large hold-out.

The same as `class_shift`, but the chance p of equal mixes is drawn only where it can decide: where the mixes lie far
apart and the hold-out is worth few records once it is weighted. Cost: O(classes), instead of O(hold-out).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tmu.twin.class_mix import LIMITS, ClassShift, class_shift

_NEAR = 1.01  # so near to the limit, sums in another order might tell otherwise


@dataclass(frozen=True)
class Foreseen(ClassShift):
    """A class shift of which p was not drawn, because it decides nothing."""

    @property
    def differs(self) -> bool:
        """Not by so much that no weighting would help."""
        return False

    def as_json(self) -> dict[str, Any]:
        """Plain numbers; `p` is None."""
        return super().as_json() | {"p": None}


def foresee_mix(
    forget: np.ndarray, retain: np.ndarray, holdout: np.ndarray, *, names: Sequence[str], seed: int
) -> ClassShift:
    """From records by class (K,) of forget set, retain set and hold-out; at least one record is to be forgotten."""
    wanted, there = forget / forget.sum(), holdout / max(holdout.sum(), 1)
    distance = float(np.abs(wanted - there).sum() / 2)
    weights = wanted / np.maximum(there, 1e-12)
    effective = float((holdout * weights).sum() ** 2 / max((holdout * weights**2).sum(), 1e-12))
    if distance > LIMITS.mix_distance and effective < _NEAR * LIMITS.effective:
        return class_shift(forget, retain, holdout, names=names, seed=seed)
    removed = (forget / np.maximum(forget + retain, 1)).tolist()
    missing = np.flatnonzero((forget > 0) & (holdout == 0)).tolist()
    return Foreseen(1.0, distance, removed, missing, effective, tuple(names))
