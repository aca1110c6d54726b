"""A folder of images of people: who is in which picture comes from a CSV file or from the folders' names.

CSV (UTF-8, header): `path,label,subject[,split]`; `path` is relative to the folder. A picture of several people has a
row for each of them. Without a CSV, the name of the subfolder is the label. Messages name a CSV line or a position;
names of files, which may name people, are only in an error's `details`, for the terminal.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from tmu.config import Config
from tmu.data.ids import unseen
from tmu.data.readers import Reader, reader
from tmu.data.readers.folder_walk import Splits, Walk, in_classes, refuse_splits, split_of, walk
from tmu.data.readers.pictures import Fault, Header, decode, look
from tmu.data.records import SPLITS, Record
from tmu.data.tables import Row, decoded, read_table
from tmu.errors import DataError

_COLUMNS = ("path", "label", "subject")


class ImageFolderOptions(Config):
    """`size`: every image is resized to size x size pixels; null: all must be of one size already."""

    root: Path
    subjects: Path | None = Field(None, description="CSV of path,label,subject[,split]; null: folder names")
    subject_from: Literal["folder", "file"] = Field("file", description="without CSV: who an image is about")
    splits: Splits | None = Field(None, description="without CSV: what folders named train, val, test are")
    size: int | None = Field(None, ge=1)
    mode: Literal["auto", "L", "RGB"] = Field("auto", description="auto: L if every image is grey, else RGB")
    ground: Literal["white", "black", "grey"] | None = Field(
        None, description="the colour below transparent parts; null: refuse them"
    )


@dataclass(frozen=True)
class _Entry:
    where: str
    path: Path
    label: str
    people: tuple[str, ...]
    split: str | None


@reader("image-folder")
class ImageFolder(Reader):
    """See the module."""

    simulated = False
    Options = ImageFolderOptions

    def __init__(self, options: ImageFolderOptions) -> None:
        super().__init__(options)
        self._faults: dict[str, tuple[_Entry, Fault]] = {}
        self._converted: Counter[str] = Counter()

    def classes(self) -> list[str]:
        names = {entry.label for entry in self._entries}
        return sorted(names, key=lambda name: (int(name), name) if name.isdecimal() else (-1, name))

    def shape(self) -> tuple[int, int, int]:
        mode, width, height = self._form
        return (1 if mode == "L" else 3), height, width

    def count(self) -> int:
        return len(self._entries)

    def where(self, position: int) -> str:
        return self._entries[position].where

    def left_out(self) -> Counter[str]:
        if self.options.subjects is None:
            return self._walked.left_out
        listed = {self._resolved(entry) for entry in self._entries}
        root = self.options.root.resolve()
        unlisted = sum(root / path not in listed for path in self._walked.pictures)
        return self._walked.left_out + Counter({"picture that the CSV does not list": unlisted})

    def converted(self) -> Counter[str]:
        return self._converted

    def records(self) -> Iterator[Record]:
        """Raises DataError at the end, for all bad files together."""
        labels = {name: number for number, name in enumerate(self.classes())}
        mode, *size = self._form
        self._converted.clear()
        root, options = self.options.root.resolve(), self.options
        for entry in self._entries:
            if entry.where in self._faults:
                continue
            path = self._resolved(entry)
            try:
                pixels, done = decode(path, mode, tuple(size), options.ground, resize=options.size is not None)
            except Fault as fault:
                self._faults[entry.where] = (entry, fault)
                continue
            self._converted.update(done)
            subject, *also = entry.people or (None,)
            # resolved, so that a second path to the same file is the same record
            name = path.relative_to(root).as_posix()
            yield Record(name, subject, labels[entry.label], pixels, entry.split, tuple(also))
        if self._faults:
            raise _refusal(list(self._faults.values()), len(self._entries))

    @cached_property
    def _walked(self) -> Walk:
        if self.options.subjects is None:
            return in_classes(walk(self.options.root))
        return walk(self.options.root, without=self.options.subjects)

    @cached_property
    def _entries(self) -> list[_Entry]:
        if not self.options.root.is_dir():
            raise DataError(f"There is no folder {self.options.root}.", "Set `root` to the folder of images.")
        found = list(self._from_folders() if self.options.subjects is None else self._from_csv(self.options.subjects))
        if not found:
            raise DataError(f"No images are listed for {self.options.root}.", "Check `root` and the CSV.")
        return found

    def _from_folders(self) -> Iterator[_Entry]:
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
            yield _Entry(where, path, inside[0], people, split)

    def _from_csv(self, path: Path) -> Iterator[_Entry]:
        try:
            text = decoded(path.read_bytes(), "The CSV")
        except OSError as error:
            raise DataError(f"The CSV {path} cannot be read.", "Check its name and permissions.") from error
        found: dict[Path, _Entry] = {}
        for row in read_table(text, "The CSV", _COLUMNS, ("split",), as_written=("path",)):
            entry = _entry(row)
            place = self._resolved(entry)
            found[place] = _together(found[place], entry) if place in found else entry
        yield from found.values()

    @cached_property
    def _form(self) -> tuple[str, int, int]:
        """(mode, width, height) of every image, from the files' headers; what is wrong with one is noted."""
        options, headers = self.options, {}
        for entry in self._entries:
            try:
                headers[entry.where] = self._header(entry)
            except Fault as fault:
                self._faults[entry.where] = (entry, fault)
        if not headers:
            raise _refusal(list(self._faults.values()), len(self._entries))
        sizes = Counter(header.size for header in headers.values())
        width, height = (options.size,) * 2 if options.size else sizes.most_common(1)[0][0]
        if options.size is None:
            for entry in self._entries:
                if entry.where in headers and headers[entry.where].size != (width, height):
                    self._faults[entry.where] = (entry, _other_size(headers[entry.where], width, height))
        grey = all(header.grey for header in headers.values())
        return ("L" if grey else "RGB") if options.mode == "auto" else options.mode, width, height

    def _header(self, entry: _Entry) -> Header:
        path = self._resolved(entry)
        if not path.is_relative_to(self.options.root.resolve()):
            raise Fault("points outside the folder of images", "Use paths inside it.")
        return look(path, upright=self.options.size is None)

    def _resolved(self, entry: _Entry) -> Path:
        return (self.options.root.resolve() / entry.path).resolve()


def _entry(row: Row) -> _Entry:
    where, cells = f"CSV line {row.line}", row.cells
    if not cells["path"] or not cells["label"]:
        raise DataError(f"{where} has no path or no label.", "Fill in both.")
    split = cells.get("split") or None
    if split is not None and split not in SPLITS:
        raise DataError(f"{where} has an unknown split.", f"Use {', '.join(SPLITS)} or leave it empty.")
    people = (cells["subject"],) if cells["subject"] else ()
    return _Entry(where, Path(cells["path"]), cells["label"], people, split)


def _together(first: _Entry, second: _Entry) -> _Entry:
    """Two rows of one picture: two people in it. Raises DataError where they say anything else."""
    both = f"{second.where} lists the picture of {first.where} again"
    if (first.label, first.split) != (second.label, second.split):
        raise DataError(f"{both}, with another label or split.", "Rows of one picture differ in the subject alone.")
    if not first.people or not second.people or set(second.people) & set(first.people):
        raise DataError(f"{both}, with the same or no subject.", "Give one row for each person in it.")
    return replace(first, people=(*first.people, *second.people))


def _other_size(header: Header, width: int, height: int) -> Fault:
    said = f"is {header.size[0]}x{header.size[1]} pixels, most others {width}x{height}"
    return Fault("is of another size", "Set `size` to resize all of them.", said)


def _refusal(bad: list[tuple[_Entry, Fault]], total: int) -> DataError:
    """One error for all bad files: counts by kind in its text, their names in its details."""
    details = [f"{entry.where}, {entry.path.as_posix()}: {fault.said}" for entry, fault in bad]
    hints = dict.fromkeys(fault.hint for _, fault in bad)
    if len(bad) == 1:
        ((entry, fault),) = bad
        return DataError(f"{entry.where} {fault.said}.", fault.hint, details)
    kinds = Counter(fault.kind.removeprefix("is ").removeprefix("has ") for _, fault in bad)
    counted = ", ".join(f"{number} x {kind}" for kind, number in sorted(kinds.items()))
    return DataError(f"{len(bad)} of {total} pictures are refused: {counted}.", " ".join(hints), details)
