"""Who is meant: raw ids become HMAC keys here, at the edge, and only keys go on."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmu.errors import ConfigError, RequestError

if TYPE_CHECKING:
    import numpy as np

    from tmu.data.index import Index
    from tmu.data.info import StoreInfo
    from tmu.data.keys import Keys
    from tmu.workspace import Workspace

_KEY_FIELDS = {"subject_keys": "subject", "record_keys": "record"}

Subjects = Annotated[list[str], typer.Option("--subject", metavar="ID", help="All records of a person; repeatable.")]
Records = Annotated[list[str], typer.Option("--record", metavar="ID", help="One record; repeatable.")]
File = Annotated[
    str | None,
    typer.Option("--file", metavar="FILE", help="A request file (ids a line, or JSON; `-`: standard input)."),
]


@dataclass(frozen=True)
class Selection:
    """Keys (HMAC, hex) in the order in which the user named them."""

    subjects: list[str] = field(default_factory=list)
    records: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.subjects or self.records)

    def as_json(self) -> dict[str, list[str]]:
        """A request file without raw ids, which may be committed."""
        return {"subject_keys": self.subjects, "record_keys": self.records}


@dataclass(frozen=True)
class Found:
    """One named id: its place among those of its kind (from 1), its key, and what the store knows of it.

    positions: where its records are in the index; empty unless it is known.
    """

    kind: str
    place: int
    key: str
    state: str
    positions: "np.ndarray"


def select(
    place: "Workspace", info: "StoreInfo", subjects: list[str], records: list[str], file: str | None
) -> Selection:
    """What the options of a verb name. A file may hold raw ids, or keys as `tmu plan --keys-only` prints them."""
    keys = keys_of(place, info)
    text = _read(file) if file is not None else ""
    ready = _ready_keys(text)
    more_subjects, more_records = _raw_ids(text) if ready is None else ([], [])
    ready = ready or Selection()
    return Selection(
        [*map(keys.subject, [*subjects, *more_subjects]), *ready.subjects],
        [*map(keys.record, [*records, *more_records]), *ready.records],
    )


def keys_of(place: "Workspace", info: "StoreInfo") -> "Keys":
    """The keys under which a store was built (see `tmu/steps/store_keys.py`)."""
    from tmu.steps.store_keys import keys_of as of_store

    return of_store(place, info)


def look_up(index: "Index", selection: Selection) -> Iterator[Found]:
    """Each named id in the store: known, erased or unknown."""
    for number, key in enumerate(selection.subjects, 1):
        positions = index.find_subject(key)
        yield Found("subject", number, key, _state(len(positions) > 0, index.is_erased_subject(key)), positions)
    for number, key in enumerate(selection.records, 1):
        positions = index.find_record(key)
        yield Found("record", number, key, _state(len(positions) > 0, index.is_erased(key)), positions)


def all_known(index: "Index", selection: Selection) -> list[Found]:
    """Every named id, found. Raises RequestError for an empty selection and for the first unknown or erased id."""
    if not selection:
        raise RequestError("The request names nobody and nothing.", "Give --subject, --record or --file.")
    found = list(look_up(index, selection))
    for each in found:
        name = f"The {ordinal(each.place)} {each.kind} of the request (key {each.key})"
        if each.state == "unknown":
            raise RequestError(f"{name} is unknown.", f"Check its spelling with `tmu data show --{each.kind} ID`.")
        if each.state == "erased":
            raise RequestError(f"{name} was erased before.", "Leave it out.")
    return found


def refuse_raw(text: str | None, option: str, raw_ids: list[str]) -> None:
    """Raise ConfigError where a text that will be stored holds one of the ids that were typed with it."""
    if text is not None and any(each and each.casefold() in text.casefold() for each in raw_ids):
        raise ConfigError(f"{option} holds an id of this very call.", "It would be stored: leave the id out of it.")


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, ..."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{({1: 'st', 2: 'nd', 3: 'rd'}).get(number % 10, 'th')}"


def _state(known: bool, erased: bool) -> str:
    if known:
        return "known"
    return "erased" if erased else "unknown"


def _read(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError) as error:
        raise RequestError(f"The request file {file} cannot be read.", "Name a text file, or `-`.") from error


def _ready_keys(text: str) -> Selection | None:
    """The selection in a file of keys; None if the text is something else."""
    try:
        raw: Any = json.loads(text)
    except ValueError:
        return None
    if not isinstance(raw, dict) or not raw or not set(raw) <= set(_KEY_FIELDS):
        return None
    for name, keys in raw.items():
        for number, key in enumerate(keys if isinstance(keys, list) else [keys], 1):
            if not (isinstance(key, str) and len(key) == 32 and set(key) <= set("0123456789abcdef")):
                raise RequestError(
                    f"The {ordinal(number)} of `{name}` in the request file is not a key of 32 hexadecimal digits.",
                    "Make the file with `tmu plan --keys-only`.",
                )
    return Selection(list(raw.get("subject_keys", [])), list(raw.get("record_keys", [])))


def _raw_ids(text: str) -> tuple[list[str], list[str]]:
    from tmu.steps.request_file import read_request

    return read_request(text) if text else ([], [])
