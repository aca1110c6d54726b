"""The figures of an audit without golds: evidence beside its law, distance beside its floor, who lost accuracy."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tmu.audit.by_table.audit import TableAudit
from tmu.audit.by_table.case import TableCase
from tmu.audit.drawing import canvas, name_rows, save, titled, whisker
from tmu.audit.palette import BLUE, GOLD, INK, QUIET, VERMILION
from tmu.audit.table import ORIGINAL

CAPTIONS = {
    "evidence": "Evidence that the forgotten records are known, beside what models show that never saw a person.",
    "distance": "Distance of the answers on the forget set to those of references that never saw it.",
    "losses": "Accuracy lost against the original, by class and by who was asked.",
}
_GREY = "#4D4D4D"
_WIDEST = 12.0  # standard deviations


def draw(folder: Path, case: TableCase, audit: TableAudit) -> list[Path]:
    """Write every figure as PNG and SVG; returns the files."""
    figures = {"evidence": evidence(case, audit), "distance": distance(case, audit), "losses": losses(audit)}
    return [file for name, figure in figures.items() for file in save(figure, folder / name)]


def evidence(case: TableCase, audit: TableAudit) -> Figure:
    """Density of the evidence where nobody is known, and a line for each model."""
    found = audit.outer
    figure, (axis,) = canvas(1, 3.6)
    grid = np.linspace(-_WIDEST, _WIDEST, 481)
    axis.fill_between(grid, np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), color=GOLD, alpha=0.3, lw=0, label="law")
    records = int(np.median(found.people["unlearned"].records))
    never = found.null.shown(records, 1)
    if len(never) >= 20:
        label = f"never-seen people, groups of {records}"
        axis.hist(np.clip(never, -_WIDEST, _WIDEST), bins=40, density=True, histtype="step", color=QUIET, label=label)
    for model, name, colour in (("original", ORIGINAL, _GREY), ("unlearned", case.method, BLUE)):
        value = float(found.request[model].evidence[0])
        axis.axvline(np.clip(value, -_WIDEST, _WIDEST), color=colour, lw=2.4, label=f"{name} {value:+.1f}")
    axis.axvline(2.33, color=VERMILION, lw=1, ls=(0, (3, 3)), label="about 1 %")
    low, high = axis.get_xlim()
    shown = [float(each.evidence[0]) for each in found.request.values()]
    axis.set_xlim(max(low, min(-4.0, *shown) - 0.5), min(high, max(4.0, *shown) + 0.5))
    axis.set_xlabel("evidence (standard deviations)")
    axis.set_yticks([])
    axis.legend(frameon=False, fontsize=8.5)
    titled(figure, "Are the forgotten records still known?", "right: known; left: unusually unsure; the aim is 0")
    return figure


def distance(case: TableCase, audit: TableAudit) -> Figure:
    """A row for each model; the band is what references show among themselves."""
    found, rows = audit.distance, {"original": ORIGINAL, "unlearned": case.method}
    figure, (axis,) = canvas(1, 2.4)
    if found.floor:
        axis.axvspan(found.floor.low, found.floor.high, color=GOLD, alpha=0.18, lw=0)
        axis.axvline(found.floor.value, color=GOLD, lw=2)
    for place, (model, colour) in enumerate(zip(rows, (_GREY, BLUE), strict=True)):
        value = found.models[model]
        whisker(axis, value, place, colour, width=2.2)
        axis.plot(value.value, place, "o", color=colour, ms=8, mec="white", mew=1.2)
    axis.set_xlim(left=0)
    axis.set_xlabel("distance (L2) ↓")
    name_rows(axis, list(rows.values()))
    titled(figure, "Answers on the forget set: left is closer", "band: references among themselves (95 %)")
    return figure


def losses(audit: TableAudit) -> Figure:
    """Points of accuracy lost: overall on the test set, people who stay, the most exposed, then class by class."""
    found = audit.utility
    rows = {"test set": found.test, "people who stay": found.retain, "most exposed": found.exposed}
    rows |= {f"class {number}": lost for number, lost in list(found.classes.items())[:20]}
    figure, (axis,) = canvas(1, 1.6 + 0.26 * len(rows))
    for place, lost in enumerate(rows.values()):
        colour = INK if place < 3 else BLUE
        whisker(axis, lost.lost, place, colour, width=2.0)
        axis.plot(lost.lost.value, place, "o", color=colour, ms=6, mec="white", mew=1)
    axis.axvline(0, color=QUIET, lw=1, ls=(0, (3, 3)))
    axis.set_xlabel("points of accuracy lost ↓")
    name_rows(axis, list(rows))
    titled(figure, "Who pays for the deletion?", "right of 0: worse than the original; lines: 95 %")
    return figure
