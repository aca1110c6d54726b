"""Model outputs on the three sets of an audit, and the numbers derived from one row of logits.

Logits are computed once per model, in evaluation mode and without augmentation; everything else in this room works on
them. N records, K classes; the order of records is the same for every model of one audit.
"""

from dataclasses import dataclass

import numpy as np

from tmu.errors import DataError, ModelError

SETS = ("forget", "retain", "test")


@dataclass(frozen=True, eq=False)
class Sets:
    """True labels by set (forget, retain, test), int64 (N,); shared by all models of one audit."""

    labels: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        for name in SETS:
            if name not in self.labels:
                raise DataError(f"The audit has no {name} set.", "Give labels for forget, retain and test.")
            if self.labels[name].dtype != np.int64 or self.labels[name].ndim != 1:
                raise DataError(f"The labels of the {name} set are not int64 (N,).", "Convert them before the audit.")

    def sizes(self) -> dict[str, int]:
        """Records per set."""
        return {name: len(self.labels[name]) for name in SETS}


@dataclass(frozen=True, eq=False)
class Outputs:
    """One model's logits by set (forget, retain, test), float32 (N, K), K at least 2, all finite."""

    logits: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        for name in SETS:
            if name not in self.logits:
                raise DataError(f"The outputs lack the {name} set.", "Compute them for forget, retain and test.")
            logits = self.logits[name]
            if logits.dtype != np.float32 or logits.ndim != 2 or logits.shape[1] < 2:
                raise DataError(f"The logits of the {name} set are not float32 (N, K >= 2).", "Convert them first.")
            if not np.isfinite(logits).all():
                raise ModelError(
                    f"The model's outputs on the {name} set are not all numbers.",
                    "The model has diverged: train or unlearn again with a lower learning rate.",
                )


def check_fit(sets: Sets, outputs: Outputs, row: str) -> None:
    """Refuse outputs that were not computed on these sets: other record counts, or labels without a logit."""
    for name in SETS:
        labels, logits = sets.labels[name], outputs.logits[name]
        if len(labels) != len(logits):
            raise DataError(
                f"`{row}` has outputs for {len(logits)} {name} records, the audit has {len(labels)}.",
                "Compute all outputs on the same sets.",
            )
        if len(labels) and not (labels.min() >= 0 and labels.max() < logits.shape[1]):
            raise DataError(
                f"A label of the {name} set is outside the {logits.shape[1]} classes of `{row}`.",
                "Audit models of the same classes as the data.",
            )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (N, K) in float64 of logits (N, K)."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def true_class_probability(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """p_y (N,), 0..1, of logits (N, K) and labels (N,)."""
    return softmax(logits)[np.arange(len(labels)), labels]


def logit_confidence(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Log p_y / (1 - p_y) (N,) of logits (N, K) and labels (N,) (LiRA, Carlini et al. 2022).

    Computed as z_y - logsumexp of the other logits: taken from p_y it would overflow as soon as p_y rounds to 1.
    """
    rows = np.arange(len(labels))
    others = logits.astype(np.float64)
    true = others[rows, labels].copy()
    others[rows, labels] = -np.inf
    top = others.max(axis=1, keepdims=True)
    return true - (top[:, 0] + np.log(np.exp(others - top).sum(axis=1)))
