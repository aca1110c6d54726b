"""The membership attack on one record, from a table of references, and what it gives where nobody is known.

Score of a record, p the true-class probability (brought to the references' scale, `scale.py`), p_u and p_s the mean
probabilities of the references that never saw it and of those that learned it:

    online    ln(p + a) - ln((p_s + p_u) / 2 + a), a = .2      RMIA's ratio against all references
    rmia      ln p - ln(.65 p_u + .35)                         RMIA offline (arXiv 2312.03262), without population
    offline   margin less the references' mean margin          LiRA offline (Carlini et al. 2022)

The null of every score is measured, not assumed: each reference network is attacked on the records of people that it
never learned, by the pairs other than its own. Its scores are regressed on the record's ease and its lift (seen less
unseen margin), mean and spread; a score is then given as its distance from that mean, in that spread.
The audited model faces the pairs less one in turn, and the mean is taken: as many as a reference faces.
With one pair there is no second to attack a network by: only the offline scores remain, and their null is the test set
under the audited model itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from tmu.audit.by_table.facing import Faced, drops_of, faced_by, kept_pairs, sigmoid
from tmu.audit.by_table.layer import Layer, Side
from tmu.audit.by_table.scale import Calibration, calibrate, hats, knots_of, solve

KINDS = ("online", "rmia", "offline")
NEED_SECOND_PAIR = ("online",)
SOFTENED = 0.2
OFFLINE_A = 0.3
_BENDS = 6

Margins = Callable[[Side], np.ndarray]


@dataclass(frozen=True, eq=False)
class Records:
    """N records under one model: distance of the score from its mean where nobody is known, and the score's spread."""

    distance: np.ndarray
    spread: np.ndarray
    subjects: np.ndarray


@dataclass(frozen=True, eq=False)
class Null:
    """Mean and spread of a score of never-seen records, as functions of the record's ease and lift."""

    knots: tuple[np.ndarray, np.ndarray]
    mean: np.ndarray
    spread: np.ndarray
    least: float

    def place(self, score: np.ndarray, faced: Faced) -> tuple[np.ndarray, np.ndarray]:
        """Distance (N,) of scores (N,) from their mean, and spread (N,)."""
        basis = _basis(faced, self.knots)
        return score - basis @ self.mean, np.maximum(basis @ self.spread, self.least)


@dataclass(frozen=True, eq=False)
class Attack:
    """A score with its null, fitted on one layer (`fit_attack`). never: one `Records` a network that was attacked."""

    layer: Layer
    kind: str
    scale: Calibration | None
    null: Null
    never: list[Records]

    def on(self, margins: Margins, side: Side) -> Records:
        """A model's records of one part; margins: the model's (N,) of a part."""
        return _mean([self._against(margins, side, drop) for drop in drops_of(self.layer)], side.subjects)

    def never_lifted(self, nats: float) -> Records:
        """The forgotten records under networks that never saw them, with margins raised by `nats`."""
        side, placed = self.layer.forget, []
        for drop in drops_of(self.layer):
            own = side.unseen[:, drop or 0] + nats
            faced = faced_by(side, kept_pairs(self.layer, drop))
            placed.append(self.null.place(_score(self.kind, own, faced), faced))
        return _mean(placed, side.subjects)

    def _against(self, margins: Margins, side: Side, drop: int | None) -> tuple[np.ndarray, np.ndarray]:
        faced = faced_by(side, kept_pairs(self.layer, drop))
        own = _scaled(self.layer, margins, side, drop, self.scale)
        return self.null.place(_score(self.kind, own, faced), faced)


@dataclass(frozen=True, eq=False)
class Never:
    """Records that a network never learned: its margins (N,) on the references' scale, and what it faces there."""

    margins: np.ndarray
    faced: Faced
    subjects: np.ndarray


def never_learned(layer: Layer, scale: Calibration | None) -> list[Never]:
    """The staying people of whom each reference learned nothing, faced by the other pairs; needs a second pair."""
    found = []
    for net in range(2 * layer.pairs):
        rows = np.flatnonzero((layer.retain.net == net).any(1))
        faced = faced_by(layer.retain, kept_pairs(layer, net // 2), rows)
        own = _scaled(layer, partial(_of_net, net=net), layer.retain, net // 2, scale, net)[rows]
        found.append(Never(own, faced, layer.retain.subjects[rows]))
    return found


def unknown_to(layer: Layer, model: str) -> list[Never]:
    """The test records under an audited model, which never learned them: the null where there is one pair."""
    return [Never(layer.test.margins[model], faced_by(layer.test, [0]), layer.test.subjects)]


def fit_attack(layer: Layer, kind: str, never: list[Never], scale: Calibration | None) -> Attack:
    """Measure the null of a score on records that nobody knows."""
    scores = [_score(kind, each.margins, each.faced) for each in never]
    null = _fit_null(scores, [each.faced for each in never], lifted=layer.pairs > 1)
    placed = [Records(*null.place(score, each.faced), each.subjects) for score, each in zip(scores, never, strict=True)]
    return Attack(layer, kind, scale, null, placed)


def scale_of(layer: Layer) -> Calibration | None:
    """The references' scale, where there is a second pair to measure it by."""
    return reference_scale(layer) if layer.pairs > 1 else None


def reference_scale(layer: Layer) -> Calibration:
    """What a reference says of records that it never saw, all of them together, as the other pairs face them."""
    margins, faced, labels = [], [], []
    for net in range(2 * layer.pairs):
        rows = _like(layer, net)
        margins.append(layer.test.every[rows, net])
        faced.append(layer.test.unseen[rows][:, kept_pairs(layer, net // 2)].mean(1))
        labels.append(layer.test.labels[rows])
    said, by_others, classes = map(np.concatenate, (margins, faced, labels))
    return calibrate(said, by_others, classes, layer.classes)


def _like(layer: Layer, net: int) -> np.ndarray:
    """The test records by which a network is calibrated: where people are known, those of whom it learned others."""
    everyone = np.arange(len(layer.test))
    return everyone[layer.test.net[:, net // 2] == net] if layer.acquainted else everyone


def _of_net(side: Side, net: int) -> np.ndarray:
    return side.every[:, net]


def _scaled(
    layer: Layer, margins: Margins, side: Side, drop: int | None, scale: Calibration | None, net: int | None = None
) -> np.ndarray:
    """A model's margins (N,) on the references' scale; as they are where there is none. net: of a reference."""
    if scale is None:
        return margins(side)
    pairs, test = kept_pairs(layer, drop), layer.test
    rows = np.arange(len(test)) if net is None else _like(layer, net)
    own = calibrate(margins(test)[rows], test.unseen[rows][:, pairs].mean(1), test.labels[rows], layer.classes)
    return own.translate(scale, margins(side), side.unseen[:, pairs].mean(1), side.labels)


def _score(kind: str, margins: np.ndarray, faced: Faced) -> np.ndarray:
    if kind == "offline":
        return margins - faced.margin
    own = sigmoid(margins)
    if kind == "rmia":
        return np.log(own + 1e-9) - np.log((1 + OFFLINE_A) / 2 * faced.unseen + (1 - OFFLINE_A) / 2)
    return np.log(own + SOFTENED) - np.log((faced.seen + faced.unseen) / 2 + SOFTENED)


def _fit_null(scores: list[np.ndarray], faced: list[Faced], *, lifted: bool) -> Null:
    together = Faced(*(np.concatenate([getattr(each, name) for each in faced]) for name in Faced.__dataclass_fields__))
    score = np.concatenate(scores)
    knots = knots_of(together.margin, _BENDS), knots_of(together.lift, _BENDS) if lifted else np.zeros(1)
    basis = _basis(together, knots)
    ridge = np.ones(basis.shape[1])
    mean = solve(basis, score, 1e-3 * ridge)
    left = np.abs(score - basis @ mean)
    size = max(float(left.mean()), 1e-9)
    flat = solve(basis, np.full(len(left), size), 1e-3 * ridge)
    spread = np.sqrt(np.pi / 2) * (flat + solve(basis, left - size, ridge))
    return Null(knots, mean, spread, 0.25 * size)


def _basis(faced: Faced, knots: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return np.hstack([hats(faced.margin, knots[0]), hats(faced.lift, knots[1])])


def _mean(placed: list[tuple[np.ndarray, np.ndarray]], subjects: np.ndarray) -> Records:
    first, second = (np.mean([each[part] for each in placed], 0) for part in (0, 1))
    return Records(first, second, subjects)
