"""All files below a folder, and what cannot be entered or read."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from tmu.search.ground import Found
from tmu.search.look import Thing
from tmu.search.report import NotLookedAt

_AROUND = "it is a link to a folder that this one lies in"


def files_below(
    folder: Path, name_of: Callable[[str], str], shown: str = "", skip: Callable[[Path], bool] = lambda _: False
) -> Iterator[Found]:
    """Things below `folder`. name_of: the haystack of a relative path. shown: how addresses begin.

    A link is read where it points: one to a folder outside is entered, each folder once. One to a folder that `folder`
    itself lies in is not, and is said.
    """
    failed: list[OSError] = []
    entered, tops = [folder.resolve()], [folder]
    while tops:
        for parent, names, files in os.walk(tops.pop(), onerror=failed.append):
            names[:] = [each for each in names if not skip(Path(parent, each))]
            for path in (Path(parent, each) for each in names):
                if not _leads_elsewhere(path, entered):
                    continue
                if entered[0].is_relative_to(path.resolve()):
                    relative = path.relative_to(folder).as_posix()
                    yield NotLookedAt(haystack=name_of(relative), address=shown + relative, why=_AROUND)
                    continue
                entered.append(path.resolve())
                tops.append(path)
            for each in files:
                if not skip(Path(parent, each)):
                    yield from _thing(Path(parent, each), folder, name_of, shown)
    for error in failed:
        relative = os.path.relpath(error.filename, folder)
        yield NotLookedAt(haystack=name_of(relative), address=shown + relative, why=error.strerror or "it is closed")


def _leads_elsewhere(path: Path, entered: list[Path]) -> bool:
    """Whether a folder's name is a link out of all folders that are looked through."""
    return path.is_symlink() and not any(path.resolve().is_relative_to(known) for known in entered)


def _thing(path: Path, folder: Path, name_of: Callable[[str], str], shown: str) -> Iterator[Found]:
    relative = path.relative_to(folder).as_posix()
    address = shown + relative
    try:
        facts = str(path.readlink()) if path.is_symlink() else ""
        if stat.S_ISREG(path.stat().st_mode):
            yield Thing(name_of(relative), address, path, named=relative, facts=facts)
    except FileNotFoundError:
        return  # it went while the folder was walked, or is a link to nothing
    except OSError as error:
        yield NotLookedAt(haystack=name_of(relative), address=address, why=error.strerror or "it cannot be read")
