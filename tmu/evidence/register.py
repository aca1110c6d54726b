"""The register of requests for the authority, as CSV. One line a request; no key and no name."""

import csv
import io
from collections.abc import Iterable

from tmu.config import Config

NAME = "register.csv"


class Row(Config):
    """One request. Times are ISO 8601 in UTC; empty: it did not come to that.

    ground: on which it was carried out, or why not. outcome: its state now. method, verdict: of its deletion.
    certificate: SHA-256 of the file.
    """

    request: str
    dataset: str = ""
    received: str
    identified: str = ""
    due: str = ""
    extended: str = ""
    done: str = ""
    late: str = ""
    ground: str
    outcome: str
    people: str = ""
    records: str = ""
    method: str = ""
    verdict: str = ""
    certificate: str = ""


def register_csv(rows: Iterable[Row]) -> bytes:
    """The rows under a heading. What a spreadsheet would take for a formula is written as text."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(Row.model_fields), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _text(value) for name, value in row.model_dump().items()})
    return out.getvalue().encode()


def _text(value: str) -> str:
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
