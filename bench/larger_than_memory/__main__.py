"""Measure and store `results/larger-than-memory.json` and `.md`."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import results
from bench.larger_than_memory import loader
from bench.larger_than_memory.page import page
from bench.larger_than_memory.verbs import VERBS
from bench.stamp import stamp
from tmu.files import write_atomic, write_json

BOUND_MIB = 8
"""What a set may take to be held in memory here: small, so that ten thousand pictures are streamed, too."""


def main(
    sizes: Annotated[str, typer.Option(help="Numbers of records.")] = "10000,100000",
    side: Annotated[int, typer.Option(help="Pixels of a side.")] = 24,
    large: Annotated[str, typer.Option(help="Numbers of records of 224 pixels that are imported.")] = "1000,10000",
    deletion: Annotated[int | None, typer.Option(help="A number of records: a deletion and what leads to it.")] = None,
) -> None:
    """One process a verb and size; then the loader. With `--deletion` all other numbers stay as they are stored."""
    path = results.FOLDER / "larger-than-memory.json"
    if deletion is None:
        found = _whole([int(size) for size in sizes.split(",")], side, [int(size) for size in large.split(",")])
    else:
        rows = _walked(deletion, side, ["import", "train", "references", "plan", "delete"], BOUND_MIB)
        found = json.loads(path.read_text())
        found.setdefault("deletions", {})[str(deletion)] = {"rows": rows, **stamp(threads=1)}
    write_json(path, found)
    write_atomic(results.FOLDER / "larger-than-memory.md", page(found).encode())


def _whole(numbers: list[int], side: int, large: list[int]) -> dict[str, Any]:
    """All verbs by size, the same training in memory, large pictures, the loader."""
    rows = []
    for size in numbers:
        rows += _walked(size, side, list(VERBS), BOUND_MIB)
    rows += _walked(max(numbers), side, ["import", "train"], 1 << 20)
    for size in large:
        rows += _walked(size, loader.SIDE, ["import", "plan", "erase"], BOUND_MIB)
    return {"rows": rows, "loader": loader.measured(), "bound_mib": BOUND_MIB, **stamp(threads=1)}


def _walked(size: int, side: int, verbs: list[str], bound: int) -> list[dict[str, Any]]:
    """What each verb takes in a workspace of so many records. bound: MiB up to which a set is held in memory."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "w"
        for verb in verbs:
            given = [str(size), str(side)] if verb == "import" else []
            taken = _child(verb, root, given, bound)
            rows.append({"verb": verb, "records": size, "side": side, "streamed": bound == BOUND_MIB, **taken})
            typer.echo(json.dumps(rows[-1]))
    return rows


def _child(verb: str, root: Path, given: list[str], bound: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.larger_than_memory.verbs", verb, str(root), *given]
    alone = {"TMU_COMPUTE_WORKERS": "1", "TMU_THREADS": "1", "OMP_NUM_THREADS": "1"}  # memory is that of one process
    environment = os.environ | alone | {"TMU_STREAM_ABOVE_MIB": str(bound)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return {name: round(value, 2) for name, value in json.loads(done.stdout.splitlines()[-1]).items()}


if __name__ == "__main__":
    typer.run(main)
