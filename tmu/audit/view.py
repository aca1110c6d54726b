"""What a metric sees: one model's outputs with shared derivations computed once, and the models it is compared with."""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from tmu.audit.attack import nonmembers
from tmu.audit.outputs import SETS, Outputs, Sets, logit_confidence, softmax, true_class_probability
from tmu.audit.probes.probed import Probed
from tmu.errors import DataError


class View:
    """One model on the audit's sets; `seed` draws the attack's training records, the same for every model.

    `probed`: what was found inside the model, where it was looked at.
    """

    def __init__(self, sets: Sets, outputs: Outputs, seed: int, probed: Probed | None = None) -> None:
        self.sets, self.outputs, self.seed, self.probed = sets, outputs, seed, probed

    @cached_property
    def predicted(self) -> dict[str, np.ndarray]:
        """Predicted class (N,) by set."""
        return {name: self.outputs.logits[name].argmax(axis=1) for name in SETS}

    @cached_property
    def correct(self) -> dict[str, np.ndarray]:
        """Whether the predicted class is the true one, bool (N,), by set."""
        return {name: self.predicted[name] == self.sets.labels[name] for name in SETS}

    @cached_property
    def probabilities(self) -> dict[str, np.ndarray]:
        """Softmax (N, K) of the forget and the test set."""
        return {name: softmax(self.outputs.logits[name]) for name in ("forget", "test")}

    @cached_property
    def confidence(self) -> dict[str, np.ndarray]:
        """True-class probability (N,), 0..1, by set."""
        return {name: true_class_probability(self.outputs.logits[name], self.sets.labels[name]) for name in SETS}

    @cached_property
    def logit_confidence(self) -> dict[str, np.ndarray]:
        """Logit-scaled true-class confidence (N,) of the forget and the test set."""
        return {
            name: logit_confidence(self.outputs.logits[name], self.sets.labels[name]) for name in ("forget", "test")
        }

    @property
    def inside(self) -> Probed:
        """`probed`, for metrics with `needs_probes`. Raises DataError where nobody looked."""
        if self.probed is None:
            raise DataError("Nobody looked inside the model.", "Audit with `audit.probes: true`.")
        return self.probed

    @cached_property
    def head_probabilities(self) -> np.ndarray:
        """Softmax (N, K) on the forget set of the model's body with a fresh head (`probes/head_refit.py`)."""
        return softmax(self.inside.head_logits)

    @cached_property
    def nonmember(self) -> np.ndarray:
        """Which forget records the population attack calls non-member, bool (N,)."""
        seen = self.confidence
        return nonmembers(seen["retain"], seen["test"], seen["forget"], seed=self.seed)


@dataclass(frozen=True, eq=False)
class Case:
    """One row of the audit: the model, the golds it is measured against (never itself), and the original.

    A gold faces the G - 1 others. `leave_one_out`: so that any other row, for which G are there, faces as many, a
    number that is not a plain mean over the golds is averaged over the G ways to leave one of them out.
    """

    model: View
    golds: tuple[View, ...]
    original: View | None
    seed: int
    resamples: int
    leave_one_out: bool = False

    @property
    def untouched(self) -> View:
        """`original`, for metrics with `needs_original`. Raises DataError where there is none."""
        if self.original is None:
            raise DataError("The audit has no row of the original.", "Give the outputs of the original.")
        return self.original

    @cached_property
    def faced(self) -> list[tuple[View, ...]]:
        """The sets of golds that the row faces, of one size; numbers are averaged over them."""
        if not self.leave_one_out or len(self.golds) < 2:
            return [self.golds]
        return list(combinations(self.golds, len(self.golds) - 1))
