"""Fetch a bundle, the weights of its model and those that its training started from, in pieces.

What was cut short goes on where it stopped. Each file is checked against the bundle's sums, or the manifest of its
artifact, before it takes its name.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tmu import manifest as manifests
from tmu.config import Config
from tmu.errors import ModelError, RequestError, StorageError, TmuError
from tmu.evidence.manifest import NAME as MANIFEST
from tmu.evidence.manifest import Manifest
from tmu.evidence.sums import SUMS, parse_sums
from tmu.files import sha256_file, storage_errors
from tmu.models.bundle_files import ARCH, START, WEIGHTS
from tmu.purge.record import find_record
from tmu.refs import ModelRef
from tmu.stores.evidence import evidence_store
from tmu.stores.lock import locked
from tmu.stores.source import Source
from tmu.workspace import Workspace

MODEL = "model"
Report = Callable[[int, int | None], None]


@dataclass(frozen=True)
class _File:
    """A file to be fetched: its name there, its name here, its digest."""

    source: Source
    there: str
    here: str
    digest: str


class Pulled(Config):
    """What was fetched. files: by name with their sizes. resumed: bytes that an earlier call had fetched. model: why
    the weights are not among them; empty: they are. start: the same of the weights that training started from; empty
    also where it started from none.
    """

    request: str
    folder: str
    files: dict[str, int]
    resumed: int
    model: str = ""
    start: str = ""


class Link(Config):
    """An address under which anybody may fetch a file, until it expires."""

    name: str
    address: str
    sha256: str


def pull(workspace: Workspace, request: str, to: Path, report: Report = lambda done, total: None) -> Pulled:
    """The bundle of a request, the weights of its model in `model/`, and those that it started from in `start/`.

    Raises RequestError for a request without a bundle, StorageError where the store refuses, the folder is no earlier
    pull of the same bundle, or what it holds is damaged.
    """
    files, missing = _files(workspace, request)
    sums = b"".join(_read(files[0].source, SUMS))
    with storage_errors(to):
        to.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_other(to, sums)
    sizes = {each.here: _size(each) for each in files}
    whole, done, resumed = sum(sizes.values()), 0, 0
    with locked(to / ".pull.lock", wait=False) as mine:
        if not mine:
            raise StorageError(f"Another process is fetching into {to}.", "Wait until it has ended.")
        for each in files:
            start = done
            resumed += _fetch(each, to / each.here, lambda got, start=start: report(start + got, whole))
            done += sizes[each.here]
            report(done, whole)
        (to / SUMS).write_bytes(sums)
        (to / ".pull.lock").unlink(missing_ok=True)
    return Pulled(request=request, folder=str(to), files=sizes, resumed=resumed, **missing)


def links(workspace: Workspace, request: str, seconds: int) -> list[Link]:
    """Presigned addresses of the same files. Raises RequestError where the store has none."""
    files, _ = _files(workspace, request)
    sums = files[0].source.link(SUMS, seconds)
    found = [Link(name=each.here, address=each.source.link(each.there, seconds), sha256=each.digest) for each in files]
    return [*found, Link(name=SUMS, address=sums, sha256="")]


def _files(workspace: Workspace, request: str) -> tuple[list[_File], dict[str, str]]:
    """All files of the bundle, of its model and its start; why there is no `model` or `start`."""
    if not request or "/" in request or request.startswith("."):
        raise RequestError("That is no id of a request.", "`tmu evidence` lists the bundles.")
    source = evidence_store(workspace.state("evidence"), workspace.settings).source(request)
    if source.size(SUMS) is None:
        raise _no_bundle(workspace, source, request)
    sums = parse_sums(b"".join(_read(source, SUMS)))
    files = [_File(source, name, name, digest) for name, digest in sums.items()]
    if MANIFEST not in sums:
        return files, {"model": "No model had learned the records: there are no weights."}
    said, missing = Manifest.model_validate_json(b"".join(_read(source, MANIFEST))), dict[str, str]()
    try:
        files += _model(workspace, said.made.serves or said.made.unlearned)
    except TmuError as error:
        missing["model"] = f"The weights are not handed out: {error.what}"
    try:
        files += _start(workspace, said.case.params.model.init_sha256)
    except TmuError as error:
        missing["start"] = f"The weights that training started from are not handed out: {error.what}"
    return files, missing


def _model(workspace: Workspace, model: ModelRef) -> list[_File]:
    """The files of a model. Raises ModelError for one that is blocked, StorageError for one that is gone."""
    _refuse_blocked(workspace, model)
    return _artifact(workspace, model.uri, model.digest, MODEL, (WEIGHTS, ARCH))


def _start(workspace: Workspace, sha256: str | None) -> list[_File]:
    """The kept copy of what training started from; nothing where it started from none. Raises StorageError."""
    if sha256 is None:
        return []
    uri = f"{START}/{sha256}"
    kept = next((each for each in workspace.artifacts.manifests(START) if each.uri == uri), None)
    if kept is None:
        raise StorageError(f"there is no kept copy of the weights with SHA-256 {sha256}.", "Restore it from a backup.")
    return _artifact(workspace, uri, kept.digest, START, (WEIGHTS,))


def _artifact(workspace: Workspace, uri: str, digest: str, folder: str, names: Sequence[str]) -> list[_File]:
    """An artifact's manifest and some of its files, to be put into a folder. Raises StorageError."""
    source = workspace.artifacts.source(uri, digest)
    digests = json.loads(b"".join(_read(source, manifests.MANIFEST)))["files"]
    files = [_File(source, manifests.MANIFEST, f"{folder}/{manifests.MANIFEST}", digest)]
    return files + [_File(source, name, f"{folder}/{name}", digests[name]) for name in names]


def _refuse_blocked(workspace: Workspace, model: ModelRef) -> None:
    """A model that a later deletion superseded learned somebody who was erased since: it is not handed out."""
    from tmu.steps.cut_over import blocked_weights

    if model.weights in blocked_weights(workspace):
        raise ModelError("a later deletion has replaced this model.", "Pull the bundle of that deletion.")


def _no_bundle(workspace: Workspace, source: Source, request: str) -> RequestError:
    """Why there is none, as far as this workspace knows."""
    if workspace.state("evidence", request).is_dir() or find_record(workspace, request):
        return RequestError(
            f"The bundle of request {request} is not sealed.", f"`tmu evidence {request}` seals it, or says why not."
        )
    return RequestError(f"There is no bundle of request {request} in {source.name}.", "`tmu evidence` lists them.")


def _refuse_other(to: Path, sums: bytes) -> None:
    """The folder is new, empty, or of an earlier pull of the same bundle."""
    mark = to / f".{SUMS}"
    if mark.exists():
        if mark.read_bytes() != sums:
            raise StorageError(f"{to} holds another bundle.", "Name another folder with --to.")
        return
    if any(to.iterdir()):
        raise StorageError(f"{to} is not empty.", "Name a new folder with --to.")
    with storage_errors(to):
        mark.write_bytes(sums)


def _read(source: Source, name: str) -> Iterator[bytes]:
    if source.size(name) is None:
        raise StorageError(f"{name} is missing in {source.name}.", "Compare with the folder in which it was made.")
    yield from source.read(name)


def _size(file: _File) -> int:
    found = file.source.size(file.there)
    if found is None:
        raise StorageError(f"{file.there} is missing in {file.source.name}.", "Ask whoever keeps the store.")
    return found


def _fetch(file: _File, target: Path, report: Callable[[int], None]) -> int:
    """Fetch one file, from where an earlier call stopped; returns the bytes that were there already."""
    if target.is_file() and sha256_file(target) == file.digest:
        return target.stat().st_size
    part = target.with_name(f".{target.name}.part")
    there = part.stat().st_size if part.exists() else 0
    for start in dict.fromkeys((there, 0)):  # what was left may be damaged: then once more from the beginning
        _append(file, part, start, report)
        if sha256_file(part) == file.digest:
            part.replace(target)
            return start
        part.unlink()
    raise StorageError(
        f"{file.there} in {file.source.name} is not the file that the bundle names.", "Ask whoever keeps the store."
    )


def _append(file: _File, part: Path, start: int, report: Callable[[int], None]) -> None:
    with storage_errors(part):
        part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        got, whole = start, _size(file)
        with part.open("ab" if start else "wb") as out:
            pieces = file.source.read(file.there, start) if start < whole else ()
            for piece in pieces:
                out.write(piece)
                out.flush()
                got += len(piece)
                report(got)
