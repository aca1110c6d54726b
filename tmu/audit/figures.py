"""The audit's four figures: accuracy against the gold, confidence on the forget set, alignment, predictor reliability.

Matplotlib's object interface on the Agg and SVG canvases, no pyplot. The same input gives the same bytes: no dates, no
versions, fixed identifiers.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tmu.audit.ceiling import auroc
from tmu.audit.drawing import canvas, name_rows, save, titled, whisker
from tmu.audit.outputs import Outputs, Sets, logit_confidence
from tmu.audit.palette import BLUE, GOLD, INK, QUIET, colours
from tmu.audit.table import ORIGINAL, AuditResult

_PANELS = {"accuracy_forget": "forget set", "accuracy_retain": "retain set", "accuracy_test": "test set"}
_TICKS = (1e-6, 1e-4, 0.01, 0.1, 0.5, 0.9, 0.99, 0.9999, 0.999999)
_WIDEST = 20.0  # logits; beyond it one record would squeeze all others together
_BINS = 10


@dataclass(frozen=True, eq=False)
class Predictor:
    """What the easy / hard predictor said of each forget record, and what a gold did.

    `predicted` (N,): P(gold wrong), 0..1. `wrong` bool (N,): the gold's outcome.
    """

    predicted: np.ndarray
    wrong: np.ndarray


def draw_figures(
    folder: Path,
    result: AuditResult,
    sets: Sets,
    models: dict[str, Outputs],
    method_row: str,
    predictor: Predictor | None = None,
) -> list[Path]:
    """Write every figure as PNG and SVG into `folder`; returns the files written. Without predictor, no reliability."""
    shown = {row: models[row] for row in (ORIGINAL, result.golds[0], method_row) if row in models}
    figures = {
        "accuracy_bars": accuracy_bars(result),
        "forget_confidence": forget_confidence(sets, shown, result),
        "alignment": alignment(result),
    }
    if predictor is not None:
        figures["reliability"] = reliability(predictor)
    return [file for name, figure in figures.items() for file in save(figure, folder / name)]


def accuracy_bars(result: AuditResult) -> Figure:
    """Per set, a bar from the gold's accuracy to each model's: the length of a bar is the gap.

    Bars start at the gold, not at zero, because what is asked is the distance to the gold.
    """
    gold = result.golds[0]
    rows = [row for row in result.rows if row != gold]
    colour = colours(result.rows, result.golds)
    figure, axes = canvas(len(_PANELS), 1.9 + 0.42 * len(rows), sharey=True)
    for axis, (metric, title) in zip(axes, _PANELS.items(), strict=True):
        reference = result.number(gold, metric)
        axis.axvspan(reference.low, reference.high, color=GOLD, alpha=0.18, lw=0)
        for place, row in enumerate(rows):
            value = result.number(row, metric)
            axis.barh(place, value.value - reference.value, left=reference.value, color=colour[row], height=0.46)
            whisker(axis, value, place + 0.36, colour[row])
            label = f"{value.value:.1f} ({value.value - reference.value:+.1f})"
            axis.text(1.02, place, label, transform=axis.get_yaxis_transform(), va="center", fontsize=8.5, color=INK)
        axis.axvline(reference.value, color=GOLD, lw=2)
        axis.set_title(f"{title}, gold {reference.value:.1f} %", fontsize=10, color=INK, loc="left")
        axis.set_xlabel("accuracy (%)")
        _at_least_two_points(axis)
    name_rows(axes[0], rows)
    titled(
        figure,
        "Accuracy: how far is each model from the gold?",
        "right of each row: accuracy (gap to gold) in %; bars start at the gold; band and lines: 95 %",
    )
    return figure


def forget_confidence(sets: Sets, models: dict[str, Outputs], result: AuditResult) -> Figure:
    """Share of the forget set at or below each true-class confidence (ECDF), on a logit axis."""
    colour = colours(result.rows, result.golds)
    figure, (axis,) = canvas(1, 4.2)
    for row, outputs in models.items():
        scores = np.sort(logit_confidence(outputs.logits["forget"], sets.labels["forget"]))
        share = 100 * np.arange(len(scores) + 1) / len(scores)
        width = 3.0 if row == result.golds[0] else 2.0
        axis.step(np.concatenate([scores[:1], scores]), share, where="post", color=colour[row], lw=width, label=row)
    axis.axvline(0, color=QUIET, lw=1, ls=(0, (3, 3)))
    axis.set_xticks([np.log(p / (1 - p)) for p in _TICKS], [f"{100 * p:.6g} %" for p in _TICKS])
    ends = np.concatenate([line.get_xdata() for line in axis.get_lines()])
    axis.set_xlim(max(ends.min() - 0.7, -_WIDEST), min(ends.max() + 0.7, _WIDEST))
    axis.set_ylim(-2, 102)
    axis.set_xlabel("confidence in the true class (probability, logit scale)")
    axis.set_ylabel("share of forget set at or below (%)")
    axis.legend(frameon=False, loc="upper left")
    titled(
        figure,
        "Confidence on the forget set: does the curve lie on the gold's?",
        "further right: surer of the true class; dashed: 50 %",
    )
    return figure


def alignment(result: AuditResult) -> Figure:
    """Activation distance and average gap by row with intervals; the band is what golds differ by."""
    rows = [row for row in result.rows if row != result.golds[0]]
    colour = colours(result.rows, result.golds)
    panels = {"activation_distance": "activation distance (L2) ↓", "average_gap": "average gap (points) ↓"}
    figure, axes = canvas(len(panels), 1.9 + 0.42 * len(rows), sharey=True)
    for axis, (metric, label) in zip(axes, panels.items(), strict=True):
        if floor := result.floor(metric):
            axis.axvspan(floor.low, floor.high, color=GOLD, alpha=0.18, lw=0)
        for place, row in enumerate(rows):
            value = result.number(row, metric)
            whisker(axis, value, place, colour[row], width=2.2)
            axis.plot(value.value, place, "o", color=colour[row], ms=8, mec="white", mew=1.2)
        axis.set_xlim(left=0)
        axis.locator_params(axis="x", nbins=6)
        axis.set_xlabel(label)
    name_rows(axes[0], rows)
    titled(figure, "Alignment with the gold: left is closer", "band: noise floor, what golds differ by (95 %)")
    return figure


def reliability(predictor: Predictor) -> Figure:
    """Share of records that the gold got wrong by predicted probability, with the number of records in each bin."""
    figure, (axis, counts_axis) = canvas(1, 4.6, heights=(3.2, 1))
    edges = np.linspace(0, 1, _BINS + 1)
    place = np.clip(np.digitize(predictor.predicted, edges) - 1, 0, _BINS - 1)
    counts = np.bincount(place, minlength=_BINS)
    wrong = np.bincount(place, weights=predictor.wrong, minlength=_BINS)
    axis.plot([0, 100], [0, 100], color=QUIET, lw=1, ls=(0, (3, 3)))
    for each in np.flatnonzero(counts):
        predicted = 100 * predictor.predicted[place == each].mean()
        low, high = _wilson(wrong[each], counts[each])
        axis.plot([predicted, predicted], [low, high], color=BLUE, lw=2.2, solid_capstyle="round")
        axis.plot(
            predicted,
            100 * wrong[each] / counts[each],
            "o",
            color=BLUE,
            ms=8,
            mec="white",
            mew=1.2,
            clip_on=False,
            zorder=3,
        )
    axis.set_ylim(-2, 102)
    axis.set_ylabel("gold wrong (%)")
    counts_axis.bar(100 * (edges[:-1] + edges[1:]) / 2, counts, width=9, color=BLUE, alpha=0.75)
    counts_axis.set_ylabel("records")
    counts_axis.set_xlabel("predicted probability that the gold is wrong (%)")
    titled(
        figure,
        f"Predictor: are its probabilities true? AUROC {_auroc_text(predictor)}",
        "dashed: perfectly calibrated; lines: 95 % (Wilson)",
    )
    return figure


def _auroc_text(predictor: Predictor) -> str:
    if predictor.wrong.all() or not predictor.wrong.any():
        return "undefined (one outcome only)"
    return f"{auroc(predictor.predicted, predictor.wrong):.2f}"


def _wilson(hits: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval, percent, of `hits` out of `n`."""
    z2 = 1.96**2
    centre = (hits + z2 / 2) / (n + z2)
    half = 1.96 * np.sqrt(hits * (n - hits) / n + z2 / 4) / (n + z2)
    return 100 * (centre - half), 100 * (centre + half)


def _at_least_two_points(axis: Axes) -> None:
    """Widen the axis of a panel where all models agree, so that hundredths of a point do not look like gaps."""
    axis.margins(x=0.08)
    low, high = axis.get_xlim()
    missing = max(0.0, 2.0 - (high - low))
    axis.set_xlim(low - missing, high + 0.05)
    axis.locator_params(axis="x", nbins=4)
