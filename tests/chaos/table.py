"""The tables of the matrix, from its stored rows alone: bench/results/chaos.md and the part of docs/chaos.md."""

import re
from pathlib import Path
from typing import Any

from bench import results
from bench.tables.markdown import grid
from tests.chaos.cells import EXTRAS, FAULTS, STAGES
from tmu.files import write_atomic

SUITE = "chaos"
DOCS = Path(__file__).parents[2] / "docs" / "chaos.md"
BEGIN, END = "<!-- measured: python -m tests.chaos.table -->", "<!-- /measured -->"
Measured = dict[tuple[str, str], dict[str, float]]


def render(folder: Path | None = None, docs: Path = DOCS) -> list[str]:
    """Write both pages from what is stored; returns the lines of the tables."""
    lines = tables(results.read(SUITE, folder).to_pylist())
    head = ["# chaos: measured results", "", "Made by `python -m tests.chaos.table`; do not edit.", ""]
    write_atomic((folder or results.FOLDER) / f"{SUITE}.md", ("\n".join([*head, *lines]) + "\n").encode())
    if docs.exists():
        block = "\n".join([BEGIN, "", *lines, "", END])
        text = re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: block, docs.read_text(), flags=re.S)
        write_atomic(docs, text.encode())
    return lines


def tables(rows: list[dict[str, Any]]) -> list[str]:
    """Markdown: the matrix, the cells outside it, and where it was measured."""
    measured: Measured = {}
    for row in rows:
        measured.setdefault((row["forget_set"], row["method"]), {})[row["metric"]] = row["value"]
    matrix = [[words, *(_cell(measured.get((stage, fault))) for stage in STAGES)] for fault, words in FAULTS.items()]
    single = [[words, _cell(measured.get(tuple(name.split("/"))))] for name, words in EXTRAS.items()]
    single.insert(0, ["nothing (for comparison)", _cell(measured.get(("none", "none")))])
    header = ["fault \\ stage", *(f"`{stage}`" for stage in STAGES)]
    return [
        *grid(header, matrix),
        "",
        *grid(["outside the matrix", "result"], single),
        "",
        _summary(measured, rows),
    ]


def _cell(numbers: dict[str, float] | None) -> str:
    """Seconds from the fault to `completed`, and attempts; red in bold."""
    if numbers is None:
        return "–"
    if not numbers["survived"]:
        return "**red**"
    return f"{numbers['seconds_to_complete']:.0f} s, {numbers['attempts']:.0f}"


def _summary(measured: Measured, rows: list[dict[str, Any]]) -> str:
    wanted = {(stage, fault) for stage in STAGES for fault in FAULTS}
    done = [numbers for key, numbers in measured.items() if key in wanted]
    green = sum(numbers["survived"] > 0 for numbers in done)
    where = "; ".join(sorted({row["hardware"] for row in rows}))
    said = f"{green} of {len(done)} measured cells of the matrix are green ({len(wanted)} in all)."
    return f"{said} Measured with `python -m tests.chaos`, on: {where}." if rows else said


if __name__ == "__main__":
    print("\n".join(render()))
