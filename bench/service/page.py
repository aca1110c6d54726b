"""results/service.md: the stored rows of the suite `service`, one table a measurement."""

from pathlib import Path

from bench import results
from bench.tables.markdown import grid
from tmu.files import write_atomic

SUITE = "service"
TITLES = {
    "intake": "Intake: single requests over HTTP into PostgreSQL, the server killed with -9 midway",
    "planning": "Planning: all queued requests in one call, into PostgreSQL",
    "start": "Start: `make up` in new workspaces, until all is well and bootstrapped; memory after a minute of rest",
    "overhead": "Overhead: single deletions on the started servers with a warm worker, wall time less compute",
    "batch": "Batch: many requests served together beside one, on the started servers",
}


def render(folder: Path | None = None) -> Path:
    """Write the page; returns its path."""
    rows = results.read(SUITE, folder).to_pylist()
    lines = ["# service: measured results", "", "Made by `python -m bench.service`; do not edit.", ""]
    for method, title in TITLES.items():
        mine = [row for row in rows if row["method"] == method]
        if mine:
            lines += [f"## {title}", "", f"`{mine[0]['command']}`, {mine[0]['at']}, on: {mine[0]['hardware']}.", ""]
            cells = [(row["metric"].replace("_", " "), _shown(row["value"]), row["unit"]) for row in mine]
            lines += [*grid(("", "value", "unit"), cells), ""]
    path = (folder or results.FOLDER) / f"{SUITE}.md"
    write_atomic(path, "\n".join(lines).encode())
    return path


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or value >= 1000 else f"{value:.3g}"
