"""Intake from files: `*.json` in `.tmu/inbox/`, each one request or several as the API takes them, raw ids allowed.

A file is gone once its requests are on record; a receipt without raw ids stays in `inbox/done/`. What cannot be taken
goes to `inbox/refused/` with the reason beside it. After a crash the next call resumes, with the same result.
"""

import codecs
import contextlib
import hashlib
import json
import os
import stat
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tmu import strict_json
from tmu.data.info import read_info
from tmu.data.keys import Keys
from tmu.errors import RequestError
from tmu.files import read_json, storage_errors, sweep, write_json
from tmu.ledger.actor import Actor
from tmu.ledger.errors import ConflictError
from tmu.ledger.intake import Intake, Receipt, receive_all
from tmu.ledger.place import opened
from tmu.ledger.raw import IntakeBody, intake_of, refuse_raw
from tmu.ledger.store import Ledger
from tmu.steps.find_copies import CopyFinder
from tmu.steps.store_keys import keys_of
from tmu.stores.lock import locked
from tmu.workspace import Workspace

SENDER = Actor("file-intake", "system")
MOST_BYTES = 64 * 2**20
QUIET = 60
"""Seconds after which a file that is no JSON is taken to be finished."""
_AT_ONCE = 500
_LONGEST = 200
"""Bytes of a file's name that are kept."""
_SEVERAL = TypeAdapter(list[IntakeBody])


class _Refused(Exception):
    """A file that cannot be taken. what, hint: in words that repeat nothing of it."""

    def __init__(self, what: str, hint: str) -> None:
        self.what, self.hint = what, hint


def take_in_files(workspace: Workspace) -> dict[str, int]:
    """Put every file's requests on record. Returns counts: `files`, `received`, `known` (on record before), `refused`
    (files), `unfinished` (left alone: perhaps still being written).

    Raises StorageError where the ledger or the disk refuses; what was not done is done by the next call.
    """
    inbox = workspace.state("inbox")
    counts = Counter(files=0, received=0, known=0, refused=0, unfinished=0)
    with storage_errors(inbox):
        for folder in (inbox, inbox / "taken", inbox / "done", inbox / "refused"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(inbox / ".lock"), storage_errors(inbox):
        sweep(inbox / "done")
        sweep(inbox / "refused")
        for file in _claimed(inbox, counts):
            counts.update(files=1)
            _take_in(workspace, inbox, file, counts)
    return dict(counts)


def _claimed(inbox: Path, counts: Counter[str]) -> Iterator[Path]:
    """Files of this call alone, moved to `taken/` one by one: first what a call that died left there."""
    yield from sorted((inbox / "taken").iterdir())
    for path in sorted(inbox.glob("*.json")):
        found = path.lstat()
        if path.name.startswith(".") or not stat.S_ISREG(found.st_mode):
            continue
        if time.time() - found.st_mtime < QUIET and not _whole(path):
            counts.update(unfinished=1)
            continue
        taken = inbox / "taken" / _short(path.name)
        path.replace(taken)
        yield taken


def _short(name: str) -> str:
    """A name to which `.receipt.json` can be added and that a file system still takes (255 bytes)."""
    if len(os.fsencode(name)) <= _LONGEST:
        return name
    return f"{name[:40]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}.json"


def _whole(path: Path) -> bool:
    """Whether a young file is one to be looked at now: JSON to its end, or of no use however it goes on."""
    try:
        if path.stat().st_size <= MOST_BYTES:
            json.loads(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except (RecursionError, PermissionError):
        return True
    except ValueError:
        return False
    return True


def _take_in(workspace: Workspace, inbox: Path, file: Path, counts: Counter[str]) -> None:
    info = read_info(workspace.data)
    keys = keys_of(workspace, info)
    try:
        intakes = _read(file, info.dataset, keys, CopyFinder(workspace))
        with opened(workspace) as ledger:
            answers = list(_received(ledger, keys, intakes))
        new = [answer.new for answer in answers if isinstance(answer, Receipt)]
        counts.update(received=sum(new), known=len(new) - sum(new))
        _write_receipt(inbox / "done", file.name, answers)
        _refuse_conflicts(answers)
    except _Refused as refused:
        _put_away(inbox / "refused", file, refused)
        counts.update(refused=1)
    else:
        file.unlink()  # it holds raw ids; all that it asks for is on record by now


def _read(file: Path, dataset: str, keys: Keys, copies: CopyFinder) -> list[Intake]:
    """The requests of a file, in keys. Raises _Refused."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise _Refused("It has more than 64 MiB.", "Split it.")
        raw = strict_json.loads(file.read_bytes().removeprefix(codecs.BOM_UTF8))
    except PermissionError:
        raise _Refused("It cannot be read.", "Let the service's user read it.") from None
    except strict_json.DuplicateKeyError:
        raise _Refused("An object has the same key twice.", "Write each key once.") from None
    except (ValueError, RecursionError):
        hint = "Write it under a name that does not end in .json, then rename it."
        raise _Refused("It is not JSON.", hint) from None
    if isinstance(raw, dict):
        raw = raw["requests"] if set(raw) == {"requests"} else [raw]
    try:
        bodies = _SEVERAL.validate_python(raw)
    except ValidationError as error:
        raise _Refused(_fault(error), "docs/api.md shows the form of a request.") from None
    if not bodies:
        raise _Refused("It contains no request.", "Put requests into the list.")
    try:
        refuse_raw(file.name, "the file's name", [each for body in bodies for each in body.raw_ids])
        return [intake_of(body, dataset, keys, "file", copies.find) for body in bodies]
    except RequestError as error:
        raise _Refused(error.what, error.hint) from None


def _fault(error: ValidationError) -> str:
    """The first fault: which request, which field, what of it. Names that are not ours are content, and left out."""
    first = error.errors(include_input=False, include_context=False)[0]
    where = [f"request {part + 1}" for part in first["loc"][:1] if isinstance(part, int)]
    where += [f"`{part}`" for part in first["loc"][1:2] if part in IntakeBody.model_fields]
    return f"{', '.join(where) or 'The whole'}: {first['msg']}."


def _received(ledger: Ledger, keys: Keys, intakes: Sequence[Intake]) -> Iterator[Receipt | ConflictError]:
    for start in range(0, len(intakes), _AT_ONCE):
        yield from receive_all(ledger, keys, intakes[start : start + _AT_ONCE], SENDER)


def _refuse_conflicts(answers: Sequence[Receipt | ConflictError]) -> None:
    bad = [str(number) for number, answer in enumerate(answers, 1) if not isinstance(answer, Receipt)]
    if bad:
        raise _Refused(
            f"{len(bad)} of its {len(answers)} requests have ids that are already recorded with other content: "
            f"number {', '.join(bad[:20])}. The others are on record.",
            "Choose new ids for these; the others may stay in the file.",
        )


def _write_receipt(folder: Path, name: str, answers: Sequence[Receipt | ConflictError]) -> None:
    """Id, state and date of each request. The receipt of another file of that name stays."""
    lines = [
        {"request": answer.request, "state": answer.state, "due": answer.due.isoformat()}
        for answer in answers
        if isinstance(answer, Receipt)
    ]
    ids = [line["request"] for line in lines]
    for path in _numbered(folder, f"{name}.receipt.json"):
        if not path.exists() or _ids_in(path) == ids:
            write_json(path, {"requests": lines})
            return


def _ids_in(receipt: Path) -> list[str] | None:
    """None where it cannot be read: somebody changed it."""
    try:
        return [line["request"] for line in read_json(receipt)["requests"]]
    except (ValueError, KeyError, TypeError):
        return None


def _put_away(folder: Path, file: Path, refused: _Refused) -> None:
    """Move a file away, after the reason: a crash between the two does both again."""
    place = next(path for path in _numbered(folder, file.name) if not path.exists())
    write_json(place.with_name(f"{place.name}.reason.json"), {"what": refused.what, "hint": refused.hint})
    with contextlib.suppress(PermissionError):
        file.chmod(0o600)
    file.replace(place)


def _numbered(folder: Path, name: str) -> Iterator[Path]:
    yield folder / name
    number = 2
    while True:
        yield folder / f"{number}-{name}"
        number += 1
