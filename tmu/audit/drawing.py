"""What all figures have in common, those of an audit and those of the bench: the headline, and the bytes of a PNG.

Matplotlib's object interface, no pyplot. The same figure gives the same bytes: no dates, no versions.
"""

from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from tmu.audit.bootstrap import Value
from tmu.audit.palette import GRID, INK, QUIET
from tmu.files import write_atomic

_EDGE = {"left": 0.01, "right": 0.99}


def headline(figure: Figure, text: str, note: str, *, size: float = 12, side: str = "left") -> None:
    """The question that the figure answers, in letters of `size` points, and below on the `side` how to read it."""
    figure.suptitle(text, fontsize=size, fontweight="bold", color=INK, x=_EDGE["left"], ha="left")
    figure.supxlabel(note, fontsize=8.5, color=QUIET, x=_EDGE[side], ha=side)


def png(figure: Figure, dpi: int) -> bytes:
    """The figure as PNG."""
    FigureCanvasAgg(figure)
    sink = BytesIO()
    figure.savefig(sink, format="png", dpi=dpi, metadata={"Software": None})
    return sink.getvalue()


def titled(figure: Figure, text: str, note: str) -> None:
    """The headline of an audit's figure."""
    headline(figure, text, note, size=12.5, side="right")


def canvas(
    columns: int, height: float, sharey: bool = False, heights: tuple[float, ...] = (1,)
) -> tuple[Figure, list[Axes]]:
    """A figure of an audit with its panels, from left to right and from top to bottom."""
    figure = Figure(figsize=(8.6, height), layout="constrained", facecolor="white")
    grid = figure.subplots(len(heights), columns, sharey=sharey, sharex=len(heights) > 1, height_ratios=heights)
    axes = list(np.ravel(grid))
    for axis in axes:
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.spines["bottom"].set_color(QUIET)
        axis.grid(color=GRID, lw=0.8)
        axis.set_axisbelow(True)
        axis.tick_params(colors=INK, length=0, labelsize=9)
        axis.xaxis.label.set_color(INK)
        axis.yaxis.label.set_color(INK)
    return figure, axes


def name_rows(axis: Axes, rows: list[str]) -> None:
    """Name the rows of a panel, the first at the top."""
    axis.set_yticks(range(len(rows)), rows)
    axis.set_ylim(len(rows) - 0.4, -0.6)


def whisker(axis: Axes, value: Value, place: float, colour: str, width: float = 1.2) -> None:
    """The 95 % interval of a number as a line."""
    axis.plot([value.low, value.high], [place, place], color=colour, lw=width, solid_capstyle="round")


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as PNG and SVG; returns the files."""
    files, svg = {stem.with_suffix(".png"): png(figure, dpi=160)}, BytesIO()
    FigureCanvasSVG(figure)
    with matplotlib.rc_context({"svg.hashsalt": stem.name}):  # identifiers inside the file, otherwise random
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    files[stem.with_suffix(".svg")] = svg.getvalue()
    for path, content in files.items():
        write_atomic(path, content)
    return list(files)
