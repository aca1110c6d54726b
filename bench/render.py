"""Tables and figures of a suite, from its stored results alone: `python -m bench.render SUITE...`.

Writes results/SUITE.md and results/SUITE-*.png. The same results give the same bytes; what was not measured is left
out.
"""

import argparse
from collections.abc import Collection
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from bench import results
from bench import suite as suites
from bench.figures import densities, heatmap, klom, reliability, stream, tradeoff
from bench.figures import truth as truth_figure
from bench.tables.ablation import ablation
from bench.tables.cells import Cells
from bench.tables.comparison import comparison
from bench.tables.cost import cost
from bench.tables.fleet import fleet
from bench.tables.predictor import predictor
from bench.tables.stream import stream as stream_section
from bench.tables.summary import summary
from bench.tables.truth import truth
from tmu.audit.drawing import png
from tmu.errors import RequestError, TmuError
from tmu.files import write_atomic

_DPI = 110
_READ = """\
Mean over seeds [95 % interval, Student's t]. Arrows say what is better; "→ gold": the gold's number is the aim. All
rows of a seed face the same golds; the floor, "second gold", is one more retraining measured as if it were a method.
**Bold**: the best method and those that cannot be told from it (paired by seed, the interval of the difference holds
0; not corrected for the number of comparisons). Golds and controls do not compete, nor do rows that lack seeds. With
one seed there is no interval. The floor's seeds share golds, so that its own interval is approximate."""


def render(suite: str, folder: Path | None = None) -> Path:
    """Write the tables and figures of a suite; returns the table's path. RequestError where nothing is stored.

    `folder`: where results are read and written; None: the usual one.
    """
    folder = folder or results.FOLDER
    table = results.read(suite, folder)
    if not table.num_rows:
        raise RequestError(f"Nothing is stored for the suite {suite}.", f"Measure it first: tmu bench {suite}")
    retired = suites.load(suite).retired if suite in suites.names() else ()
    datasets = sorted(set(table["dataset"].to_pylist()))
    parts = [f"# {suite}: measured results", "Made by `python -m bench.render`; do not edit.", _READ]
    for dataset in datasets:
        stem = suite if len(datasets) == 1 else f"{suite}-{dataset}"
        parts.append("\n".join(_section(Cells.of(table, dataset), folder, stem, retired)).rstrip())
    path = folder / f"{suite}.md"
    write_atomic(path, ("\n\n".join(parts) + "\n").encode(), private=False)
    return path


def _section(cells: Cells, folder: Path, stem: str, retired: Collection[str]) -> list[str]:
    """Everything about one dataset; each figure is written and stands under the tables that it shows."""
    picture = partial(_picture, folder, stem)
    lines = [f"## {cells.dataset}", "", *_origin(cells), "", *summary(cells)]
    lines += picture("heatmap", heatmap.draw(cells), "methods by forget sets, in floors")
    lines += picture("tradeoff", tradeoff.draw(cells), "gap and distance against time")
    for name in cells.forget_sets():
        lines += comparison(cells, name)
        lines += picture(f"densities-{name}", densities.draw(cells, name), f"confidence on {name}")
    lines += ablation(cells, retired)
    lines += stream_section(cells) + picture("stream", stream.draw(cells), "numbers after each deletion")
    lines += predictor(cells) + picture("reliability", reliability.draw(cells), "reliability of the predictor")
    lines += truth(cells) + picture("truth", truth_figure.draw(cells), "share convicted by number of records")
    lines += fleet(cells) + picture("klom", klom.draw(cells), "KLoM beside its floor")
    return lines + cost(cells)


def _picture(folder: Path, stem: str, name: str, figure: Figure | None, words: str) -> list[str]:
    if figure is None:
        return []
    file = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in f"{stem}-{name}") + ".png"
    write_atomic(folder / file, png(figure, _DPI))
    return [f"![{words}]({file})", ""]


def _origin(cells: Cells) -> list[str]:
    """How to measure it again and on what it was measured."""
    commands = [f"`{command}`" for command in cells.commands[:3]] + ["and so on"] * (len(cells.commands) > 3)
    return [f"Commands: {', '.join(commands)}. Measured on: {'; '.join(cells.hardware)}."]


def main() -> None:
    """Render the suites that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="+")
    for suite in parser.parse_args().suites:
        try:
            print(render(suite))
        except TmuError as error:
            raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
