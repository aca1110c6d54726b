"""The manifest of an artifact folder: what it is, what made it, and the digest of each of its files.

`manifest.json` is deterministic, so its own SHA-256 is the artifact's digest. `run.json` (seconds, hardware, time)
lies outside the digest, because it differs between two equal runs.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tmu.errors import StorageError, TmuError
from tmu.files import read_json, sha256_file, write_json

MANIFEST, RUN = "manifest.json", "run.json"
_HINT = "Delete that folder and run the step again."


def seal(
    folder: Path,
    kind: str,
    identity: dict[str, Any],
    run: dict[str, Any] | None = None,
    known: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Write `manifest.json` over all files of `folder` (and `run.json`, if `run` is given); return the manifest.

    known: digests by name that are taken over instead of being computed, of files that another manifest guards.
    """
    taken = dict(known or {})
    files = taken | {name: sha256_file(folder / name) for name in _content(folder) if name not in taken}
    manifest = {"kind": kind, "identity": identity, "files": files}
    if run is not None:
        write_json(folder / RUN, run)
    write_json(folder / MANIFEST, manifest)
    return manifest


def check(folder: Path, kind: str | None = None, error: type[TmuError] = StorageError) -> dict[str, Any]:
    """The manifest of a folder whose every file matches it; `kind` None accepts any kind.

    Raises `error`, naming the file: no manifest, a changed byte, a missing file, a file or link that is not listed.
    """
    manifest = read(folder, error)
    listed = manifest["files"]
    if kind is not None and manifest["kind"] != kind:
        raise error(f"{folder} holds an artifact of kind `{manifest['kind']}`, not `{kind}`.", "Name another folder.")
    present = set(_content(folder))
    for name in sorted(present ^ set(listed)):
        fault = "is not listed in its manifest" if name in present else "is missing"
        raise error(f"{name} in {folder} {fault}.", _HINT)
    for name, digest in sorted(listed.items()):
        if not _is(folder / name, digest):
            raise error(f"{name} in {folder} was changed after it was written.", _HINT)
    return manifest


def check_files(folder: Path, names: Iterable[str], error: type[TmuError] = StorageError) -> dict[str, Any]:
    """The manifest of a folder of which the files `names` match it; no other file is looked at. Raises as `check`."""
    manifest = read(folder, error)
    for name in sorted(set(names)):
        if name not in manifest["files"]:
            raise error(f"{name} in {folder} is not listed in its manifest.", _HINT)
        if not _is(folder / name, manifest["files"][name]):
            raise error(f"{name} in {folder} is missing or was changed after it was written.", _HINT)
    return manifest


def read(folder: Path, error: type[TmuError] = StorageError) -> dict[str, Any]:
    """The manifest as written: `kind`, `identity` and `files` (relative path to SHA-256); no file is looked at."""
    path = folder / MANIFEST
    try:
        raw = read_json(path)
        return {"kind": raw["kind"], "identity": dict(raw["identity"]), "files": dict(raw["files"])}
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise error(f"{MANIFEST} in {folder} is missing or unreadable.", _HINT) from fault


def digest(folder: Path) -> str:
    """The artifact's digest: SHA-256 (hex) of `manifest.json`."""
    return sha256_file(folder / MANIFEST)


def _is(path: Path, digest: str) -> bool:
    return not path.is_symlink() and path.is_file() and sha256_file(path) == digest


def _content(folder: Path) -> list[str]:
    """Relative paths of everything but folders, the manifest and the run record; links count, so that none hides."""
    names = (
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
    )
    return sorted(name for name in names if name not in (MANIFEST, RUN))
