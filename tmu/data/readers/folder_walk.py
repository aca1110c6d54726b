"""Which files of a folder are pictures, and what is left out, by kind. One rule at every depth.

Left out are hidden entries (a name that begins with a dot) and what systems leave behind, links to folders, files that
are no pictures by name, and pictures in the root, which have no class. Roots that hold splits are refused or mapped.
"""

import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tmu.data.readers.picture_files import is_picture
from tmu.errors import DataError

_SYSTEM = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
_SYSTEM |= {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}
SPLIT_FOLDERS = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "holdout": "holdout",
    "val": "holdout", "valid": "holdout", "validation": "holdout", "dev": "holdout",
}  # fmt: skip
"""Names that a folder of a split has, lower case, and the split that it becomes."""
Splits = Literal["folders", "classes"]


@dataclass
class Walk:
    """pictures: paths relative to the root, in path order. left_out: how many entries, by kind."""

    pictures: list[Path] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def walk(root: Path, without: Path | None = None) -> Walk:
    """All pictures below a folder. without: a file that is in it on purpose, the CSV."""
    found = Walk()
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if _enter(Path(folder), name, found.left_out)]
        for name in files:
            path = Path(folder, name)
            if without is not None and path.resolve() == without.resolve():
                continue
            kind = _passed_over(path)
            if kind is None:
                found.pictures.append(path.relative_to(root))
            else:
                found.left_out[kind] += 1
    found.pictures.sort()
    return found


def in_classes(found: Walk) -> Walk:
    """The same without the pictures in the root itself, which no folder gives a class."""
    inside = [path for path in found.pictures if len(path.parts) > 1]
    outside = len(found.pictures) - len(inside)
    return Walk(inside, found.left_out + Counter({"picture in the root, without a class": outside}))


def refuse_splits(pictures: Collection[Path]) -> None:
    """Raise DataError where the folders that would be classes are splits by name and have folders inside."""
    tops = {path.parts[0] for path in pictures}
    nested = {path.parts[0] for path in pictures if len(path.parts) > 2 and path.parts[0].lower() in SPLIT_FOLDERS}
    if len(nested) > 1 or (nested and nested == tops):
        raise DataError(
            f"The folders {', '.join(sorted(nested))} look like splits, not like classes.",
            "Map them to splits with `--option splits=folders` (val becomes holdout), name the folder of one split as "
            "`root`, or say `--option splits=classes` if they are classes.",
        )


def split_of(path: Path) -> str:
    """The split of a picture in a folder of a split. Raises DataError where the first folder is none."""
    split = SPLIT_FOLDERS.get(path.parts[0].lower())
    if split is None:
        raise DataError(
            "Not every folder in the root is a split.", f"With splits=folders name them {', '.join(SPLIT_FOLDERS)}."
        )
    return split


def _enter(folder: Path, name: str, left_out: Counter[str]) -> bool:
    if _is_hidden(name):
        left_out["hidden or system entry"] += 1
        return False
    if (folder / name).is_symlink():
        left_out["link to a folder"] += 1
        return False
    return True


def _passed_over(path: Path) -> str | None:
    if _is_hidden(path.name):
        return "hidden or system entry"
    if not path.is_file():
        return "not a regular file"
    return None if is_picture(path) else "not a picture by its extension"


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _SYSTEM
