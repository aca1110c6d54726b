"""Files that are whole or absent: atomic writes, folders made in one move, digests, canonical JSON."""

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from tmu.errors import StorageError
from tmu.permissions import tighten

_HINTS = {
    errno.ENOSPC: ("The disk is full", "Free some space and run the same command again; nothing was changed."),
    errno.EDQUOT: ("The disk quota is used up", "Free some space and run the same command again; nothing was changed."),
    errno.EFBIG: ("The file size limit is reached", "Raise the limit and run the same command again."),
    errno.EROFS: ("The folder is read-only", "Choose a folder that can be written, or mount it writable."),
    errno.EACCES: ("No permission to write", "Choose a folder that you may write, or change its permissions."),
    errno.EPERM: ("No permission to write", "Choose a folder that you may write, or change its permissions."),
    errno.ENOTDIR: ("A part of the path is a file, not a folder", "Choose another folder."),
}


@contextlib.contextmanager
def storage_errors(path: Path | str) -> Iterator[None]:
    """Turn the operating system's refusals at `path` into a `StorageError` that says how to go on."""
    try:
        yield
    except OSError as error:
        if error.errno not in _HINTS:
            raise
        what, hint = _HINTS[error.errno]
        raise StorageError(f"{what}: {path}.", hint) from error


def canonical_json(value: Any) -> bytes:
    """The one byte string of a JSON value: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_of(value: Any) -> str:
    """SHA-256 (hex) of a JSON value's canonical bytes."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomic(path: Path, content: bytes, *, private: bool = True) -> None:
    """Write a file so that a reader, or a restart after kill -9, sees the old bytes or the new ones.

    `private`: readable by its owner alone; False for what is published (mode 644).
    """
    with new_file(path, private=private) as file:
        file.write(content)


@contextlib.contextmanager
def new_file(path: Path, *, private: bool = True) -> Iterator[BinaryIO]:
    """A file to write to that is moved to `path` at the end in one step; on any error nothing is left of it.

    For what does not fit into memory; else `write_atomic`.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_building(path))
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.fchmod(file.fileno(), 0o600 if private else 0o644)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
        _sync_folder(path.parent)


def refuse_unwritable(folder: Path) -> None:
    """Write and remove an empty file, making the folder where there is none; `StorageError` where that is refused."""
    probe = folder / ".probe"
    try:
        write_atomic(probe, b"")
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"The folder cannot be written: {folder} ({error.strerror}).", "Check what is in its place, and fix it."
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value for people and machines alike: sorted, indented, atomic."""
    write_atomic(
        path, (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    )


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text())


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Build a folder beside `path` and move it there in one step; on any error nothing is left behind.

    An existing folder at `path` is replaced. The folder and all in it are its owner's alone.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=path.parent, prefix=_building(path)))
        try:
            yield building
            tighten(building)
            for file in building.rglob("*"):
                if file.is_file() and file.stat().st_nlink == 1:  # what is linked was written and synced before
                    _sync_file(file)
            _swap(building, path)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        _sync_folder(path.parent)


@contextlib.contextmanager
def scratch_folder(folder: Path, name: str = "scratch") -> Iterator[Path]:
    """Yield a new folder in `folder` that is gone at the end; what a kill leaves of it is taken by `sweep(folder)`.

    name: tells apart what several write to the same folder, see `abandoned`.
    """
    with storage_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder, prefix=_building(folder / name)))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def sweep(folder: Path) -> int:
    """Remove what dead processes were building in `folder` (after kill -9), and return how many things that were.

    Such leftovers may hold images of people. What a living process builds is left alone.
    """
    found = abandoned(folder)
    for path in found:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(found)


def abandoned(folder: Path, name: str = "*") -> list[Path]:
    """What dead processes were building in `folder`. name: of what they were building; by default anything."""
    built = ((path, _BUILDING.fullmatch(path.name)) for path in sorted(folder.glob(f".{name}.building-*")))
    return [path for path, match in built if match and not _alive(int(match["pid"]))]


def link_or_copy(path: Path, target: Path) -> None:
    """A hard link at `target`, or a copy across file systems."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


def discard(folder: Path) -> None:
    """Remove a folder, away in one step: a kill leaves it whole or gone, and what is left of it to `sweep`."""
    doomed = folder.parent / f"{_building(folder)}{secrets.token_hex(4)}"
    folder.replace(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


_BUILDING = re.compile(r"\..+\.building-(?P<pid>\d+)-\w+")


def _building(path: Path) -> str:
    return f".{path.name}.building-{os.getpid()}-"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _swap(building: Path, path: Path) -> None:
    if not path.exists():
        building.replace(path)
        return
    old = Path(tempfile.mkdtemp(dir=path.parent, prefix=_building(path)))
    path.replace(old / "was")
    building.replace(path)
    shutil.rmtree(old, ignore_errors=True)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
