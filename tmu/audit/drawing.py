"""What all figures have in common, those of an audit and those of the bench: the headline, and the bytes of a PNG.

Matplotlib's object interface, no pyplot. The same figure gives the same bytes: no dates, no versions.
"""

from io import BytesIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tmu.audit.palette import INK, QUIET

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
