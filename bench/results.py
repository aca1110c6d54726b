"""Stored results: one long table a suite, the same columns for all suites."""

from collections.abc import Iterable
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


def read(suite: str) -> pa.Table:
    """All stored rows of a suite; an empty table where nothing was measured yet."""
    path = FOLDER / f"{suite}.parquet"
    return pq.read_table(path, schema=SCHEMA) if path.exists() else SCHEMA.empty_table()


def add(suite: str, rows: Iterable[dict[str, Any]]) -> None:
    """Store rows; a row of the same dataset, forget set, method, seed and metric is replaced."""
    new = [{"suite": suite, **row} for row in rows]
    keys = {tuple(row[name] for name in KEY) for row in new}
    old = [row for row in read(suite).to_pylist() if tuple(row[name] for name in KEY) not in keys]
    ordered = sorted(old + new, key=lambda row: tuple(str(row[name]) for name in KEY))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(ordered, SCHEMA), sink, compression="zstd")
    write_atomic(FOLDER / f"{suite}.parquet", sink.getvalue().to_pybytes())


def values(table: pa.Table, **where: Any) -> dict[int, float]:
    """The value by seed of the rows that match."""
    mask = None
    for name, wanted in where.items():
        term = pc.equal(table[name], wanted)
        mask = term if mask is None else pc.and_(mask, term)
    chosen = table.filter(mask)
    return dict(zip(chosen["seed"].to_pylist(), chosen["value"].to_pylist(), strict=True))
