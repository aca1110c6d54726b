"""Who may read a workspace: its owner alone (folders 700, files 600), whatever the umask and whoever writes."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

OTHERS = 0o077
"""The permission bits of everybody but the owner."""


def keep_private() -> None:
    """Let whatever this process, its threads and its children create be their owner's alone (umask 077)."""
    os.umask(OTHERS)


def exposed(*places: Path) -> list[Path]:
    """The files and folders at and below the places that others may enter, read or write; links are not followed."""
    return [path for path in _all(places) if _mode(path) & OTHERS]


def tighten(*places: Path) -> int:
    """Take from others what they may do at and below the places; the owner's bits stay. Returns how many it changed.

    Raises PermissionError for what belongs to another account.
    """
    changed = 0
    for path in _all(places):
        mode = _mode(path)
        if mode & OTHERS:
            path.chmod(mode & ~OTHERS)
            changed += 1
    return changed


def _all(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        if place.is_symlink() or not place.exists():
            continue
        yield place
        for folder, folders, files in os.walk(place):  # goes into no link
            for name in (*folders, *files):
                path = Path(folder, name)
                if not path.is_symlink():
                    yield path


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.lstat().st_mode)
    except FileNotFoundError:  # gone since it was listed
        return 0
