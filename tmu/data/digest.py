"""DVC's identity of a folder, computed without DVC: the MD5 of its sorted list of files and their MD5s.

Contract: dvc-data 3, `Tree.as_bytes` and the suffix `.dir`; a test compares with the real DVC.
"""

import contextlib
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from tmu.errors import DataError, StorageError
from tmu.files import canonical_json, write_atomic

_SETTLED = 2_000_000_000
"""Nanoseconds: a file that was touched later than this before it was hashed might change again within one tick of the
file system's clock, and is hashed again next time."""


@dataclass(frozen=True)
class Memo:
    """MD5s of files by what changes when they do, so that a look at the data need not read them all again.

    A file counts as unchanged while device, inode, size, time of content and time of change (ctime) are the same. No
    program can set ctime: a change of the same length whose date was set back is noticed. Not noticed is what only the
    machine's administrator can do (another clock, writing to the raw disk), or a disk that loses bits: `tmu verify`
    and `tmu doctor` hash every byte. read: where it is kept; write: where new MD5s go (the same place, or a scratch
    folder for who only looks).
    """

    read: Path
    write: Path

    def load(self) -> dict[str, str]:
        """MD5 by facts; empty where there is none or it is damaged: then everything is hashed."""
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(self.read.read_bytes())
            if isinstance(found, dict) and all(isinstance(each, str) for each in found.values()):
                return found
        return {}

    def save(self, known: dict[str, str]) -> None:
        """A cache: where the disk refuses it, the next look hashes again."""
        with contextlib.suppress(StorageError, OSError):
            write_atomic(self.write, canonical_json(known))


def md5_file(path: Path) -> str:
    """MD5 (hex) of a file, as DVC 3 names it in its cache. An identity, not a protection: SHA-256 guards artifacts."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def manifest(folder: Path, memo: Memo | None = None) -> dict[str, str]:
    """MD5 of every file below `folder`, by path relative to it (with `/`), sorted. memo: spares unchanged files."""
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.", "Import a dataset first, or name its folder.")
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    if memo is None:
        return {name: md5_file(files[name]) for name in sorted(files)}
    known, kept, found = memo.load(), {}, {}
    for name in sorted(files):
        found[name], key, settled = _looked_up(files[name], known)
        if settled:
            kept[key] = found[name]
    if kept.keys() - known.keys():
        memo.save(kept)
    return found


def manifest_digest(files: dict[str, str]) -> str:
    """DVC's directory digest (`….dir`) of a manifest."""
    return hashlib.md5(listing(files), usedforsecurity=False).hexdigest() + ".dir"


def listing(files: dict[str, str]) -> bytes:
    """A manifest as DVC keeps it in its cache."""
    entries = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    return json.dumps(entries, sort_keys=True).encode()


def dvc_digest(folder: Path, memo: Memo | None = None) -> str:
    """The digest that `dvc add folder` writes into `folder.dvc`. memo: see `manifest`."""
    return manifest_digest(manifest(folder, memo))


def _looked_up(path: Path, known: dict[str, str]) -> tuple[str, str, bool]:
    """A file's MD5, the key under which it may be kept, and whether it may: it did not change while it was read."""
    before = path.stat()
    key = _key(before)
    if key in known:
        return known[key], key, True
    now, md5 = time.time_ns(), md5_file(path)
    settled = max(before.st_mtime_ns, before.st_ctime_ns) < now - _SETTLED
    return md5, key, settled and _key(path.stat()) == key


def _key(stat: os.stat_result) -> str:
    facts = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    return "-".join(map(str, facts))
