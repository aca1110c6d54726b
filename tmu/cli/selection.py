"""Who is meant: raw ids become HMAC keys here, at the edge, and only keys go on."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tmu.errors import RequestError

if TYPE_CHECKING:
    import numpy as np

    from tmu.data.index import Index
    from tmu.data.info import StoreInfo
    from tmu.data.keys import Keys
    from tmu.data.store import RecordStore
    from tmu.ledger.raw import RequestFile
    from tmu.workspace import Workspace

Subjects = Annotated[list[str], typer.Option("--subject", metavar="ID", help="All records of a person; repeatable.")]
Records = Annotated[list[str], typer.Option("--record", metavar="ID", help="One record; repeatable.")]
File = Annotated[
    str | None,
    typer.Option("--file", metavar="FILE", help="A request file: one id per line, or JSON; `-` is standard input."),
]

WithCopies = Annotated[
    bool, typer.Option("--with-copies", help="Also all records with the same pictures, including other people's.")
]


@dataclass(frozen=True)
class Selection:
    """Keys (HMAC, hex) in the order in which the user named them."""

    subjects: list[str] = field(default_factory=list)
    records: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict, compare=False)
    """What a key would be if its id had been given as the other kind: of a record, of a person."""
    with_copies: bool = field(default=False, compare=False)
    former: dict[str, tuple[str, ...]] = field(default_factory=dict, compare=False)
    """What a key was under each former secret: who was erased under one is known by it."""

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
    workspace: "Workspace", info: "StoreInfo", subjects: list[str], records: list[str], file: str | None
) -> Selection:
    """What the options of a verb name. A file may hold raw ids, or keys as `tmu plan --keys-only` prints them."""
    return selected(asked_in(subjects, records, file), keys_of(workspace, info))


def asked_in(subjects: list[str], records: list[str], file: str | None) -> "RequestFile":
    """The request that options and file make together, with raw ids still in it. Raises RequestError."""
    from tmu.ledger.raw import RequestFile
    from tmu.steps.request_file import read_request

    body = read_request(_read(file)) if file is not None else RequestFile()
    together = {"subjects": [*subjects, *body.subjects], "records": [*records, *body.records]}
    return body.model_copy(update=together)


def selected(body: "RequestFile", keys: "Keys") -> Selection:
    """A request in keys. Raises RequestError for an id of a person that cannot be one."""
    from tmu.ledger.raw import keyed

    subjects, records = keyed(body, keys)
    others = {key: keys.record(raw) for key, raw in zip(subjects, body.subjects, strict=False)}
    others |= {key: _as_person(keys, raw) for key, raw in zip(records, body.records, strict=False)}
    before = [keyed(body, former) for former in keys.former]
    former = {key: tuple(each[0][place] for each in before) for place, key in enumerate(subjects)}
    former |= {key: tuple(each[1][place] for each in before) for place, key in enumerate(records)}
    return Selection(list(subjects), list(records), others, body.with_copies, former)


def with_copies(store: "RecordStore", selection: Selection, wanted: bool) -> Selection:
    """The same, with the records that hold the very same pictures where that is wanted."""
    from tmu.data.what_stays import copies_of

    if not (wanted or selection.with_copies):
        return selection
    found = copies_of(store, selection.subjects, selection.records)
    return replace(selection, records=[*selection.records, *found])


def keys_of(workspace: "Workspace", info: "StoreInfo") -> "Keys":
    """The keys under which a store was built (see `tmu/steps/store_keys.py`)."""
    from tmu.steps.store_keys import keys_of as of_store

    return of_store(workspace, info)


def look_up(index: "Index", selection: Selection) -> Iterator[Found]:
    """Each named id in the store: known, erased or unknown."""
    for number, key in enumerate(selection.subjects, 1):
        positions = index.find_subject(key)
        erased = any(map(index.is_erased_subject, (key, *selection.former.get(key, ()))))
        yield Found("subject", number, key, _state(len(positions) > 0, erased), positions)
    for number, key in enumerate(selection.records, 1):
        positions = index.find_record(key)
        erased = any(map(index.is_erased, (key, *selection.former.get(key, ()))))
        yield Found("record", number, key, _state(len(positions) > 0, erased), positions)


def all_known(index: "Index", selection: Selection) -> list[Found]:
    """Every named id, found. Raises RequestError for an empty selection and for the first unknown or erased id."""
    if not selection:
        raise RequestError("The request names no person and no record.", "Give --subject, --record or --file.")
    found = list(look_up(index, selection))
    for each in found:
        name = f"The {ordinal(each.place)} {each.kind} of the request (key {each.key})"
        if each.state == "unknown":
            raise _unknown(index, name, each, selection.others.get(each.key))
        if each.state == "erased":
            raise RequestError(f"{name} was erased before.", "Leave it out.")
    return found


def _unknown(index: "Index", name: str, each: Found, other: str | None) -> RequestError:
    """other: the key that its id would be as the other kind."""
    as_record = each.kind == "subject"
    if other and len(index.find_record(other) if as_record else index.find_subject(other)):
        kind, option, field_ = ("record", "--record", "records") if as_record else ("person", "--subject", "subjects")
        hint = f'Name it with {option}, or in a file as {{"{field_}": ["..."]}}.'
        return RequestError(f"{name} is unknown, but there is a {kind} of that id.", hint)
    return RequestError(f"{name} is unknown.", f"Check its spelling with `tmu data show --{each.kind} ID`.")


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, ..."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{({1: 'st', 2: 'nd', 3: 'rd'}).get(number % 10, 'th')}"


def _state(known: bool, erased: bool) -> str:
    if known:
        return "known"
    return "erased" if erased else "unknown"


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise RequestError(f"The request file {file} cannot be read.", "Name a text file, or `-`.") from error


def _as_person(keys: "Keys", raw: str) -> str:
    try:
        return keys.subject(raw)
    except RequestError:
        return ""
