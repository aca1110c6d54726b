"""One layer of a case, outputs or fresh heads, as arrays that the evidence is computed from.

A pair of references has one network that learned a record and one that did not. A test record is in neither. If D holds
others of that person, the audited models know the person: the record then faces the network of the pair that does, too.
Otherwise its side is drawn by hash of its key, so that it faces as many networks as a record of D does.
"""

from dataclasses import dataclass

import numpy as np

from tmu.audit.by_table.case import MODELS, Part, TableCase
from tmu.audit.outputs import logit_confidence
from tmu.errors import DataError
from tmu.train.order import hash_keys, stream

WIDEST = 13.8  # the table's margins end here (`ReferenceRows.margins`)


@dataclass(frozen=True, eq=False)
class Side:
    """One part in one layer: N records, R pairs. A margin is a logit-scaled confidence in the true class.

    margins: by model, (N,). unseen, seen: (N, R) margins of each pair's network that did not learn the record, and of
    the other one. net: int (N, R), the number of the first. every: (N, 2R) margins of all networks.
    """

    labels: np.ndarray
    subjects: np.ndarray
    margins: dict[str, np.ndarray]
    unseen: np.ndarray
    seen: np.ndarray
    net: np.ndarray
    every: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Layer:
    """forget, retain and test of one layer. acquainted: whether networks know people of the test set."""

    forget: Side
    retain: Side
    test: Side
    classes: int
    acquainted: bool = False

    @property
    def pairs(self) -> int:
        """R."""
        return self.forget.unseen.shape[1]


def layer_of(case: TableCase, *, inner: bool = False) -> Layer:
    """Outputs, or with `inner` the outputs of fresh heads."""
    forget, retain, test = (_side(case.parts[name], case.seed, inner) for name in ("forget", "retain", "test"))
    return Layer(forget, retain, test, case.classes, case.test.acquainted is not None)


def unseen_nets(part: Part, seed: int) -> np.ndarray:
    """The network of each pair that a record faces, int (N, R): it never saw the record.

    Raises DataError where both of a pair did.
    """
    seen = part.rows.seen.numpy().reshape(len(part), -1, 2)
    if seen.all(axis=2).any():
        raise DataError("A record was learned by both networks of a pair.", "Run `tmu references fit` again.")
    pairs = seen.shape[1]
    drawn = [hash_keys(part.rows.keys, stream(seed, "facing", pair)) & np.uint64(1) for pair in range(pairs)]
    second = np.where(seen.any(axis=2), seen[:, :, 0], np.stack(drawn, 1).astype(bool))
    if part.acquainted is not None:
        known = part.acquainted.reshape(seen.shape)
        second = np.where(known.any(axis=2), known[:, :, 1], second)
    return 2 * np.arange(pairs) + second.astype(np.int64)


def _side(part: Part, seed: int, inner: bool) -> Side:
    net = unseen_nets(part, seed)
    every = part.rows.margins(inner=inner).double().numpy()
    logits = part.outputs(inner=inner)
    own = {name: np.clip(logit_confidence(logits[name], part.labels), -WIDEST, WIDEST) for name in MODELS}
    return Side(
        labels=part.labels,
        subjects=part.subjects,
        margins=own,
        unseen=np.take_along_axis(every, net, 1),
        seen=np.take_along_axis(every, net ^ 1, 1),
        net=net,
        every=every,
    )
