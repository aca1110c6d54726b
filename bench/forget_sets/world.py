"""What a forget set is drawn from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.forget_sets.cross_fit import CrossFit
from tmu.errors import DataError
from tmu.train import Examples


@dataclass(frozen=True)
class ForgetWorld:
    """A training set and what is known about it.

    train: N records. subjects: (N,) int or str, whom each record is from, or None where nobody is named. classes: how
    many there are. seed: of the draw. crossfit: gives the cross-fit of `train`; called only by kinds that need it.
    """

    train: Examples
    subjects: np.ndarray | None
    classes: int
    seed: int
    crossfit: Callable[[], CrossFit]

    def fitted(self) -> CrossFit:
        """The cross-fit; DataError where it was made for another training set."""
        fitted, n = self.crossfit(), len(self.train)
        if len(fitted.out_correct) != n:
            raise DataError(
                f"The cross-fit holds {len(fitted.out_correct)} records, the training set {n}.", "Make it anew."
            )
        return fitted
