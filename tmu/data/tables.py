"""Lists and tables that a user writes, read strictly: what does not fit is refused with its line, never guessed at.

Messages give the number of the line, the kind of fault and how many cells there are. They never repeat a cell, because
cells name people.
"""

import codecs
import csv
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from tmu.data.ids import unseen
from tmu.errors import DataError, TmuError

_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_BLANKS = " \t"


@dataclass(frozen=True)
class Row:
    """A row of a table. line: where it begins, from 1. cells: by column, without blanks at the ends."""

    line: int
    cells: dict[str, str]


def decoded(raw: bytes, name: str, fault: type[TmuError] = DataError) -> str:
    """Text in UTF-8, with or without a byte order mark. name: of the file's kind, as `The CSV`.

    Raises `fault` for another encoding, with the line where it shows.
    """
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in raw[:64]:
        raise fault(f"{name} is in UTF-16.", "Save it as UTF-8.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        what = f"{name} is not in UTF-8: line {line} holds the byte {raw[error.start]:#04x}."
        raise fault(what, "Save it as UTF-8.") from None


def read_list(text: str, name: str, fault: type[TmuError] = DataError) -> Iterator[tuple[int, str]]:
    """The lines of a list with their numbers; empty lines and those that begin with `#` are left out."""
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        item = line.strip(_BLANKS)
        if not item or item.startswith("#"):
            continue
        found = unseen(item)
        if found:
            raise fault(f"{name}, line {number}, holds {found}, which is invisible.", "One id a line, as plain text.")
        if item.startswith('"'):
            raise fault(f"{name}, line {number}, begins with a quotation mark.", "One id a line, without quotes.")
        yield number, item


def read_table(
    text: str, name: str, required: Sequence[str], optional: Sequence[str] = (), *, as_written: Collection[str] = ()
) -> Iterator[Row]:
    """The rows of a CSV with commas and a header of known columns. as_written: columns in which any character may be.

    Raises DataError for a header with a column that is missing, repeated or unknown, and for a row with another number
    of cells, unbalanced quotes or a character that cannot be seen.
    """
    rows = _rows(text, name)
    first = next(rows, None)
    if first is None:
        raise DataError(f"{name} is empty.", f"Its first line must be {','.join(required)}.")
    header = _header(first[1], name, required, optional)
    for line, cells in rows:
        if len(cells) != len(header):
            raise DataError(
                f"{name}, line {line}, has {_count(len(cells), 'cell')}, the header {len(header)}.",
                f"Put a cell with a comma in quotes; the columns are {','.join(header)}.",
            )
        row = dict(zip(header, cells, strict=True))
        for column, cell in row.items():
            _refuse_odd(cell, f"{name}, line {line}, column `{column}`,", column in as_written)
        yield Row(line, {column: cell.strip(_BLANKS) for column, cell in row.items()})


def _rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """The line at which each row begins, and its cells; blank lines are left out."""
    reader, begun = csv.reader(io.StringIO(text, newline=""), strict=True), 1
    try:
        for cells in reader:
            if len(cells) > 1 or (cells and cells[0].strip()):
                yield begun, cells
            begun = reader.line_num + 1
    except csv.Error as error:
        what = f"{name}, line {begun}, cannot be read as CSV ({error})."
        raise DataError(what, "Check its quotation marks.") from None


def _header(cells: list[str], name: str, required: Sequence[str], optional: Sequence[str]) -> list[str]:
    known, hint = [*required, *optional], f"Its first line must be {','.join(required)}."
    if len(cells) == 1:
        for separator, word in _OTHER_SEPARATORS.items():
            if separator in cells[0]:
                raise DataError(f"{name} is separated by {word}, not by commas.", "Save it with commas.")
    for number, cell in enumerate(cells, 1):
        _refuse_odd(cell, f"{name}, line 1, column {number},", False)
    header = [cell.strip(_BLANKS) for cell in cells]
    for column in required:
        if column not in header:
            raise DataError(f"{name} has no column `{column}`.", hint)
    for number, column in enumerate(header, 1):
        if column not in known:
            raise DataError(
                f"{name} has a column that is not known: number {number} of {len(header)}.",
                f"Remove it or correct its name; known columns: {', '.join(known)}.",
            )
        if header.index(column) != number - 1:
            raise DataError(f"{name} has the column `{column}` more than once.", "Keep one of them.")
    return header


def _refuse_odd(cell: str, where: str, as_written: bool) -> None:
    found = unseen(cell.strip(_BLANKS))
    if found and not as_written:
        raise DataError(f"{where} holds {found}, which is invisible.", "Remove that character.")
    if cell != cell.lstrip(_BLANKS) and cell.lstrip(_BLANKS).startswith('"'):
        raise DataError(f"{where} has a blank before its quotation mark.", "Remove the blank.")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
