"""Every cell of a database: SQLite from a copy of its files, others through SQL.

The files themselves are scanned as well: freed pages, the write-ahead log and dead rows are in no table.
"""

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tmu.search.containers import Part

_ROWS = 2000
MARK = b"SQLite format 3\x00"


def sqlite_parts(path: Path, scratch: Path) -> Iterator[Part]:
    """The columns of all tables of an SQLite file. It is copied with its log first: looking would change it."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    try:
        copy = folder / "copy.db"
        for suffix in ("", "-wal"):
            if Path(f"{path}{suffix}").is_file():
                shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
        with closing(sqlite3.connect(copy)) as connection:
            connection.text_factory = bytes
            tables = [
                row[0].decode() for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
            ]
            for table in tables:
                quoted = '"' + table.replace('"', '""') + '"'
                cursor = connection.execute(f"SELECT * FROM {quoted}")
                names = [each[0] for each in cursor.description]
                while rows := cursor.fetchmany(_ROWS):
                    yield from _cells(table, names, rows)
    except sqlite3.Error as error:
        yield Part(inside="", unread=f"SQLite cannot read it ({type(error).__name__})")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tables_of(engine: sa.Engine) -> Iterator[tuple[str, Iterator[Part]]]:
    """(schema.table, its columns) of all tables that are the database's users' own, in a transaction that only reads.

    Raises sqlalchemy's DBAPIError where the database refuses.
    """
    inspector = sa.inspect(engine)
    for schema in inspector.get_schema_names():
        if schema == "information_schema" or schema.startswith("pg_"):
            continue
        for table in (*inspector.get_table_names(schema), *inspector.get_materialized_view_names(schema)):
            yield f"{schema}.{table}", _rows(engine, schema, table)


def _rows(engine: sa.Engine, schema: str, table: str) -> Iterator[Part]:
    quote = engine.dialect.identifier_preparer.quote
    with engine.connect().execution_options(stream_results=True, yield_per=_ROWS) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        result = connection.exec_driver_sql(f"SELECT * FROM {quote(schema)}.{quote(table)}")
        names = list(result.keys())
        for rows in result.partitions(_ROWS):
            yield from _cells(table, names, [tuple(row) for row in rows])


def _cells(table: str, names: list[str], rows: list[tuple[Any, ...]]) -> Iterator[Part]:
    for place, name in enumerate(names):
        cells = [_as_bytes(row[place]) for row in rows if row[place] is not None]
        inside = f"table {table}, column {name}"
        yield Part(inside=inside, data=b"\n".join(cells))
        for cell in cells:
            if len(cell) >= 64 and not cell[:1].isalnum() and cell[:1] not in b"{[\"' ":
                yield Part(inside=inside, data=cell)


def _as_bytes(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")
    return str(value).encode("utf-8", "surrogatepass")
