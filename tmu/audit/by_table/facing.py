"""Which references a record faces, and what they say of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tmu.audit.by_table.layer import Layer, Side


@dataclass(frozen=True, eq=False)
class Faced:
    """What the references of some pairs say of N records: margins and probabilities, each (N,)."""

    margin: np.ndarray
    lift: np.ndarray
    unseen: np.ndarray
    seen: np.ndarray


def drops_of(layer: Layer) -> Sequence[int | None]:
    """The pairs that are left out in turn; none where there is one alone."""
    return range(layer.pairs) if layer.pairs > 1 else [None]


def kept_pairs(layer: Layer, drop: int | None) -> list[int]:
    """The pairs but `drop`."""
    return [pair for pair in range(layer.pairs) if pair != drop]


def faced_by(side: Side, pairs: list[int], rows: np.ndarray | slice = slice(None)) -> Faced:
    """What these pairs say of the records."""
    unseen, seen = side.unseen[rows][:, pairs], side.seen[rows][:, pairs]
    means = (sigmoid(each).mean(1) for each in (unseen, seen))
    return Faced(unseen.mean(1), (seen - unseen).mean(1), *means)


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Probabilities of margins."""
    from scipy.special import expit

    return expit(values)
