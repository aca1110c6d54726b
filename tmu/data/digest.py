"""DVC's identity of a folder, computed without DVC: the MD5 of its sorted list of files and their MD5s.

Contract: dvc-data 3, `Tree.as_bytes` and the suffix `.dir`; a test compares with the real DVC.
"""

import hashlib
import json
from pathlib import Path

from tmu.errors import DataError


def md5_file(path: Path) -> str:
    """MD5 (hex) of a file, as DVC 3 names it in its cache. An identity, not a protection: SHA-256 guards artifacts."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def manifest(folder: Path) -> dict[str, str]:
    """MD5 of every file below `folder`, by path relative to it (with `/`), sorted."""
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.", "Import a dataset first, or name its folder.")
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: md5_file(files[name]) for name in sorted(files)}


def manifest_digest(files: dict[str, str]) -> str:
    """DVC's directory digest (`….dir`) of a manifest."""
    entries = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def dvc_digest(folder: Path) -> str:
    """The digest that `dvc add folder` writes into `folder.dvc`."""
    return manifest_digest(manifest(folder))
