"""Folders outside the workspace: DVC's remote, cache and site cache, an artifact store elsewhere, and what the verifier
names (backups, exports, clones).
"""

import configparser
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tmu.search.ground import Found, Ground
from tmu.search.haystacks.walk import files_below
from tmu.search.report import Access, NotLookedAt

SITE_CACHE = Path("/var/tmp/dvc")  # noqa: S108  it is looked at, not written
"""DVC's own, for all accounts, where a repository sets no other."""


class Folders:
    """See the module."""

    name = "folders"

    def found(self, ground: Ground) -> Iterator[Found]:
        """All files below each folder."""
        for name, folder in _folders(ground):
            if not folder.is_dir():
                yield NotLookedAt(haystack=name, address=str(folder), why="there is no such folder")
                continue
            yield from files_below(folder, partial(_called, name), f"{folder}/", ground.is_own)

    def accesses(self, ground: Ground) -> Iterator[Access]:
        """Whether this account may write there."""
        for name, folder in _folders(ground):
            yield Access(store=f"{name} {folder}", can_write=os.access(folder, os.W_OK), how="the folder's permissions")


def _called(name: str, relative: str) -> str:
    return name


def _folders(ground: Ground) -> list[tuple[str, Path]]:
    """(name, folder) of all that lie outside the workspace, each once."""
    settings, found = ground.workspace.settings, []
    dvc = dvc_settings(ground.root)
    for name, address in (
        ("DVC remote", settings.dvc_remote),
        *(("DVC remote", url) for url in dvc["remotes"]),
        ("DVC cache", dvc["cache"]),
        ("DVC site cache", dvc["site"]),
        ("artifact store", settings.artifacts),
        ("suppression list", settings.suppression and str(settings.suppression)),
        ("MLflow artifacts", settings.mlflow_artifacts),
    ):
        if address and "://" not in address:
            found.append((name, (ground.root / address).resolve()))
    found += [("DVC site cache", SITE_CACHE)] if SITE_CACHE.is_dir() else []
    found += [("named by the verifier", each.resolve()) for each in ground.also]
    outside = [(name, folder) for name, folder in found if not folder.is_relative_to(ground.root)]
    return list({folder: (name, folder) for name, folder in outside}.values())


def dvc_settings(root: Path) -> dict[str, Any]:
    """What DVC's settings of a workspace name: `remotes` (addresses), `cache` and `site` (folders)."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read([root / ".dvc" / "config", root / ".dvc" / "config.local"])
    remotes = [parser[each]["url"] for each in parser.sections() if "remote" in each and "url" in parser[each]]
    cache = parser.get("cache", "dir", fallback=None)
    return {
        "remotes": [_beside(each) for each in remotes],
        "cache": _beside(cache),
        "site": parser.get("core", "site_cache_dir", fallback=None),
    }


def _beside(address: str | None) -> str | None:
    """DVC takes a relative path from `.dvc`."""
    if not address or "://" in address or Path(address).is_absolute():
        return address
    return os.path.normpath(Path(".dvc") / address)
