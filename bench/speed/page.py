"""The page of a suite of speeds: its stored rows, one table a processor or GPU."""

from pathlib import Path

from bench import results
from bench.tables.markdown import grid
from tmu.files import write_atomic

SUITE = "speed"


def render(folder: Path | None = None, suite: str = SUITE, command: str = "python -m bench.speed") -> Path:
    """Write the page; returns its path."""
    rows = results.read(suite, folder).to_pylist()
    lines = [f"# {suite}: measured results", "", f"Made by `{command}`; do not edit.", ""]
    for where, dataset in dict.fromkeys((row["forget_set"], row["dataset"]) for row in rows):
        mine = [row for row in rows if (row["forget_set"], row["dataset"]) == (where, dataset)]
        lines += [f"## {dataset}, {where}", ""]
        lines += [f"`{mine[0]['command']}`, {mine[0]['at']}, on: {mine[0]['hardware']}.", ""]
        cells = [(row["method"], row["metric"], f"{row['value']:.3g}", row["unit"]) for row in mine]
        lines += [*grid(("", "", "value", "unit"), cells), ""]
    path = (folder or results.FOLDER) / f"{suite}.md"
    write_atomic(path, "\n".join(lines).encode())
    return path
