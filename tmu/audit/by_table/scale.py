"""What a model says of records that it never saw, and how to put two models on one scale.

A model trained on all of D is surer than a reference, which learned from half of it, even of records that neither saw.
So a margin is read as a place: how far it lies from what this very model says of never-seen records that are as easy.
On the test set the margin is regressed on the mean margin of the references that faced the record (a piecewise linear
curve, and an offset of each class, shrunk), and the spread round it on the same; the standardised residual is ranked
among those of the test set. `translate` gives the margin that lies at the same place for another calibration.
Source: conformal prediction with a conditional location and scale (Lei et al. 2018).
Failure mode: forgotten records that differ from the test set in a way that neither references' margin nor class shows.
"""

from dataclasses import dataclass

import numpy as np

_KNOTS = 8
_PER_KNOT = 40  # records
_PSEUDO = 10.0  # records by which a class's offset is shrunk
_LEAST_SPREAD = 0.25  # of the mean spread


@dataclass(frozen=True, eq=False)
class Calibration:
    """As fitted on T records that the model never saw.

    knots: (Q,) margins. curve, spread: (Q,) expected margin less the references', and its standard deviation.
    offsets: (K,) of the classes. ranked: (T,) standardised residuals, ascending.
    """

    knots: np.ndarray
    curve: np.ndarray
    spread: np.ndarray
    offsets: np.ndarray
    ranked: np.ndarray

    def expected(self, faced: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Margin (N,) of a never-seen record that references' mean margins (N,) and classes (N,) let expect."""
        return faced + np.interp(faced, self.knots, self.curve) + self.offsets[labels]

    def standard(self, margins: np.ndarray, faced: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """How far margins (N,) lie above the expected ones, in standard deviations of never-seen records."""
        return (margins - self.expected(faced, labels)) / np.interp(faced, self.knots, self.spread)

    def translate(self, other: "Calibration", margins: np.ndarray, faced: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The margins (N,) that lie where `margins` do here, under `other`."""
        standard = self.standard(margins, faced, labels)
        places = np.interp(standard, self.ranked, np.linspace(0, 1, len(self.ranked)))
        moved = np.interp(places, np.linspace(0, 1, len(other.ranked)), other.ranked)
        moved += standard - np.clip(standard, self.ranked[0], self.ranked[-1])  # beyond the test set's own
        return other.expected(faced, labels) + moved * np.interp(faced, other.knots, other.spread)


def calibrate(margins: np.ndarray, faced: np.ndarray, labels: np.ndarray, classes: int) -> Calibration:
    """Fit on records that the model never saw: its margins (T,), the references' mean margins (T,), classes (T,)."""
    knots = knots_of(faced, _KNOTS)
    basis = hats(faced, knots)
    design = np.hstack([basis, np.eye(classes)[labels]])
    ridge = np.concatenate([np.full(len(knots), 1e-3), np.full(classes, _PSEUDO)])
    fitted = solve(design, margins - faced, ridge)
    left = np.abs(margins - faced - design @ fitted)
    size = max(float(left.mean()), 1e-6)
    spread = size + solve(basis, left - size, np.ones(len(knots)))
    spread = np.maximum(spread, _LEAST_SPREAD * size) * np.sqrt(np.pi / 2)
    found = Calibration(knots, fitted[: len(knots)], spread, fitted[len(knots) :], np.zeros(1))
    return Calibration(knots, found.curve, spread, found.offsets, np.sort(found.standard(margins, faced, labels)))


def knots_of(values: np.ndarray, most: int) -> np.ndarray:
    """Knots (Q,) at equal shares of the values, fewer where there are few values."""
    count = int(np.clip(len(values) // _PER_KNOT, 2, most))
    return np.unique(np.quantile(values, np.linspace(0.02, 0.98, count)))


def hats(values: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Piecewise linear basis (N, Q); constant beyond the ends."""
    return np.stack([np.interp(values, knots, row) for row in np.eye(len(knots))], 1)


def solve(design: np.ndarray, wanted: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    """Ridge regression: coefficients (Q,) of a design (N, Q)."""
    return np.linalg.solve(design.T @ design + np.diag(ridge), design.T @ wanted)
