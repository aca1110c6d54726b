"""Stored results: one long table a suite, the same columns for all suites."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tmu.files import write_atomic

FOLDER = Path(__file__).parent / "results"
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("suite", "dataset", "forget_set", "method")),
        ("seed", pa.int32()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("seconds", pa.float64()),
        *((name, pa.string()) for name in ("command", "commit", "hardware", "at")),
    ]
)
KEY = ("dataset", "forget_set", "method", "seed", "metric")


def read(suite: str, folder: Path | None = None) -> pa.Table:
    """All stored rows of a suite; an empty table where nothing was measured yet. `folder`: another than the usual."""
    path = (folder or FOLDER) / f"{suite}.parquet"
    return pq.read_table(path, schema=SCHEMA) if path.exists() else SCHEMA.empty_table()


def add(suite: str, rows: Iterable[dict[str, Any]], folder: Path | None = None, *, cells: bool = False) -> None:
    """Store rows; a row of the same dataset, forget set, method, seed and metric is replaced.

    `cells`: whole cells are given, so that no old metric of the same dataset, forget set, method and seed stays.
    """
    new, same = [{"suite": suite, **row} for row in rows], KEY[:-1] if cells else KEY
    keys = {tuple(row[name] for name in same) for row in new}
    old = [row for row in read(suite, folder).to_pylist() if tuple(row[name] for name in same) not in keys]
    _write(suite, old + new, folder)


def drop(suite: str, unwanted: Callable[[dict[str, Any]], bool], folder: Path | None = None) -> int:
    """Remove the rows that are unwanted; returns how many."""
    rows = read(suite, folder).to_pylist()
    kept = [row for row in rows if not unwanted(row)]
    if len(kept) < len(rows):
        _write(suite, kept, folder)
    return len(rows) - len(kept)


def _write(suite: str, rows: list[dict[str, Any]], folder: Path | None) -> None:
    ordered = sorted(rows, key=lambda row: tuple(str(row[name]) for name in KEY))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(ordered, SCHEMA), sink, compression="zstd")
    write_atomic((folder or FOLDER) / f"{suite}.parquet", sink.getvalue().to_pybytes())


def values(table: pa.Table, **where: Any) -> dict[int, float]:
    """The value by seed of the rows that match."""
    mask = None
    for name, wanted in where.items():
        term = pc.equal(table[name], wanted)
        mask = term if mask is None else pc.and_(mask, term)
    chosen = table.filter(mask)
    return dict(zip(chosen["seed"].to_pylist(), chosen["value"].to_pylist(), strict=True))
