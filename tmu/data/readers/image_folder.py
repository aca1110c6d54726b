"""A folder of images of people: who is in which picture comes from a CSV file or from the folders' names.

CSV (UTF-8, header): `path,label,subject[,split]`; `path` is relative to the folder. A picture of several people has a
row for each of them. Without a CSV, the name of the subfolder is the label. Messages name a CSV line or a position;
names of files, which may name people, are only in an error's `details`, for the terminal.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from tmu.data.ids import unseen
from tmu.data.readers import reader
from tmu.data.readers.folder_walk import Splits, Walk, in_classes, refuse_splits, split_of, walk
from tmu.data.readers.picture_files import Fault
from tmu.data.readers.picture_reader import Entry, PictureOptions, PictureReader
from tmu.data.records import SPLITS
from tmu.data.tables import Row, decoded, read_table
from tmu.errors import DataError

_COLUMNS = ("path", "label", "subject")
_OUTSIDE = Fault("points outside the folder of images", "Use paths inside it.")


class ImageFolderOptions(PictureOptions):
    """Where the pictures are, who is in them, and what they become."""

    root: Path
    subjects: Path | None = Field(None, description="CSV of path,label,subject[,split]; null: folder names")
    subject_from: Literal["folder", "file"] = Field("file", description="without CSV: who an image is about")
    splits: Splits | None = Field(None, description="without CSV: what folders named train, val, test are")


@dataclass(frozen=True)
class _Listed:
    """A picture as folders or CSV name it. path: relative to the root."""

    where: str
    path: Path
    label: str
    people: tuple[str, ...]
    split: str | None


@reader("image-folder")
class ImageFolder(PictureReader):
    """See the module."""

    Options = ImageFolderOptions

    def entries(self) -> Iterator[Entry]:
        root = self.options.root.resolve()
        for listed in self._listed:
            path = self._resolved(listed)
            if path.is_relative_to(root):
                # resolved, so that a second path to the same file is the same record
                name, source = path.relative_to(root).as_posix(), path
            else:
                name, source = listed.path.as_posix(), _OUTSIDE
            yield Entry(listed.where, name, listed.label, listed.people, listed.split, source)

    def where(self, position: int) -> str:
        return self._listed[position].where

    def left_out(self) -> Counter[str]:
        if self.options.subjects is None:
            return self._walked.left_out
        listed = {self._resolved(each) for each in self._listed}
        root = self.options.root.resolve()
        unlisted = sum(root / path not in listed for path in self._walked.pictures)
        return self._walked.left_out + Counter({"picture that the CSV does not list": unlisted})

    @cached_property
    def _walked(self) -> Walk:
        if self.options.subjects is None:
            return in_classes(walk(self.options.root))
        return walk(self.options.root, without=self.options.subjects)

    @cached_property
    def _listed(self) -> list[_Listed]:
        if not self.options.root.is_dir():
            raise DataError(f"There is no folder {self.options.root}.", "Set --root to the folder of images.")
        found = list(self._from_folders() if self.options.subjects is None else self._from_csv(self.options.subjects))
        if not found:
            raise DataError(f"No images are listed for {self.options.root}.", "Check --root and the CSV.")
        if not any(os.path.lexists(self.options.root / each.path) for each in found):
            raise DataError(
                f"None of the {len(found):,} pictures that the CSV lists is in {self.options.root}.",
                "Set --root to the folder where the paths of the CSV start.",
            )
        return found

    def _from_folders(self) -> Iterator[_Listed]:
        options, pictures = self.options, self._walked.pictures
        if options.splits is None:
            refuse_splits(pictures)
        for number, path in enumerate(pictures):
            where, mapped = f"Image {number + 1} in path order", options.splits == "folders"
            split, inside = (split_of(path), path.parts[1:]) if mapped else (None, path.parts)
            if len(inside) < 2:
                raise DataError(f"{where} lies in the folder of a split, without a class.", "Move it into a class.")
            odd = unseen(inside[0])
            if odd:
                raise DataError(f"The name of a class's folder holds {odd}, which is invisible.", "Rename it.")
            people = (inside[0],) if options.subject_from == "folder" else ()
            yield _Listed(where, path, inside[0], people, split)

    def _from_csv(self, path: Path) -> Iterator[_Listed]:
        try:
            text = decoded(path.read_bytes(), "The CSV")
        except OSError as error:
            raise DataError(f"The CSV {path} cannot be read.", "Check its name and permissions.") from error
        found: dict[Path, _Listed] = {}
        for row in read_table(text, "The CSV", _COLUMNS, ("split",), as_written=("path",)):
            entry = _entry(row)
            place = self._resolved(entry)
            found[place] = _together(found[place], entry) if place in found else entry
        yield from found.values()

    def _resolved(self, entry: _Listed) -> Path:
        return (self.options.root.resolve() / entry.path).resolve()


def _entry(row: Row) -> _Listed:
    where, cells = f"CSV line {row.line}", row.cells
    if not cells["path"] or not cells["label"]:
        raise DataError(f"{where} has no path or no label.", "Fill in both.")
    split = cells.get("split") or None
    if split is not None and split not in SPLITS:
        raise DataError(f"{where} has an unknown split.", f"Use {', '.join(SPLITS)} or leave it empty.")
    people = (cells["subject"],) if cells["subject"] else ()
    return _Listed(where, Path(cells["path"]), cells["label"], people, split)


def _together(first: _Listed, second: _Listed) -> _Listed:
    """Two rows of one picture: two people in it. Raises DataError where they say anything else."""
    both = f"{second.where} lists the picture of {first.where} again"
    if (first.label, first.split) != (second.label, second.split):
        raise DataError(f"{both}, with another label or split.", "Rows of one picture differ in the subject alone.")
    if not first.people or not second.people or set(second.people) & set(first.people):
        raise DataError(f"{both}, with the same or no subject.", "Give one row for each person in it.")
    return replace(first, people=(*first.people, *second.people))
