"""All files below a folder, and what cannot be entered or read."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from tmu.search.ground import Found
from tmu.search.look import Thing
from tmu.search.report import NotLookedAt


def files_below(
    folder: Path, name_of: Callable[[str], str], shown: str = "", skip: Callable[[Path], bool] = lambda _: False
) -> Iterator[Found]:
    """Things below `folder`. name_of: the haystack of a relative path. shown: how addresses begin.

    A link to a file is read where it points; a link to a folder outside is not entered, and is said.
    """
    failed: list[OSError] = []
    for parent, names, files in os.walk(folder, onerror=failed.append):
        for each in list(names):
            path = Path(parent, each)
            if skip(path):
                names.remove(each)
            elif path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
                relative = path.relative_to(folder).as_posix()
                yield NotLookedAt(haystack=name_of(relative), address=shown + relative, why="it is a link to a folder")
        for each in files:
            if not skip(Path(parent, each)):
                yield from _thing(Path(parent, each), folder, name_of, shown)
    for error in failed:
        relative = os.path.relpath(error.filename, folder)
        yield NotLookedAt(haystack=name_of(relative), address=shown + relative, why=error.strerror or "it is closed")


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
