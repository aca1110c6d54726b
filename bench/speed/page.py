"""results/speed.md: the stored rows of the suite `speed`, one table a processor."""

from pathlib import Path

from bench import results
from bench.tables.markdown import grid
from tmu.files import write_atomic

SUITE = "speed"


def render(folder: Path | None = None) -> Path:
    """Write the page; returns its path."""
    rows = results.read(SUITE, folder).to_pylist()
    lines = ["# speed: measured results", "", "Made by `python -m bench.speed`; do not edit.", ""]
    for where, dataset in dict.fromkeys((row["forget_set"], row["dataset"]) for row in rows):
        mine = [row for row in rows if (row["forget_set"], row["dataset"]) == (where, dataset)]
        lines += [f"## {dataset}, {where}", ""]
        lines += [f"`{mine[0]['command']}`, {mine[0]['at']}, on: {mine[0]['hardware']}.", ""]
        cells = [(row["method"], row["metric"], f"{row['value']:.3g}", row["unit"]) for row in mine]
        lines += [*grid(("", "", "value", "unit"), cells), ""]
    path = (folder or results.FOLDER) / f"{SUITE}.md"
    write_atomic(path, "\n".join(lines).encode())
    return path
