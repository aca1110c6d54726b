"""A folder of images of people: who is in which picture comes from a CSV file or from the folders' names.

CSV (UTF-8, header): `path,label,subject[,split]`; `path` is relative to the folder. Without a CSV, the name of the
subfolder is the label. Messages name a CSV line or a position, never a file, because file names name people.
"""

import contextlib
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from pydantic import Field

from tmu.config import Config
from tmu.data.readers import Reader, reader
from tmu.data.records import SPLITS, Record
from tmu.errors import DataError

_COLUMNS = ("path", "label", "subject")
# Pillow's decoders raise all of these on bytes that are not what they claim
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError, Image.DecompressionBombError)


class ImageFolderOptions(Config):
    """`size`: every image is resized to size x size pixels; null: all must be of one size already."""

    root: Path
    subjects: Path | None = Field(None, description="CSV of path,label,subject[,split]; null: folder names")
    subject_from: Literal["folder", "file"] = Field("file", description="without CSV: who an image is about")
    size: int | None = Field(None, ge=1)
    mode: Literal["auto", "L", "RGB"] = Field("auto", description="auto: L if every image is grey, else RGB")


@dataclass(frozen=True)
class _Entry:
    where: str
    path: str
    label: str
    subject: str | None
    split: str | None


@reader("image-folder")
class ImageFolder(Reader):
    """See the module."""

    simulated = False
    Options = ImageFolderOptions

    def classes(self) -> list[str]:
        names = {entry.label for entry in self._entries}
        return sorted(names, key=lambda name: (int(name), name) if name.isdecimal() else (-1, name))

    def shape(self) -> tuple[int, int, int]:
        mode, width, height = self._form
        return (1 if mode == "L" else 3), height, width

    def count(self) -> int:
        return len(self._entries)

    def records(self) -> Iterator[Record]:
        labels = {name: number for number, name in enumerate(self.classes())}
        for entry in self._entries:
            # resolved, so that a second path to the same file is the same record
            name = self._inside(entry).relative_to(self.options.root.resolve()).as_posix()
            yield Record(name, entry.subject, labels[entry.label], self._decode(entry), entry.split)

    @cached_property
    def _entries(self) -> list[_Entry]:
        if not self.options.root.is_dir():
            raise DataError(f"There is no folder {self.options.root}.", "Set `root` to the folder of images.")
        found = list(self._from_folders() if self.options.subjects is None else self._from_csv(self.options.subjects))
        if not found:
            raise DataError(f"No images are listed for {self.options.root}.", "Check `root` and the CSV.")
        return found

    def _from_folders(self) -> Iterator[_Entry]:
        root = self.options.root
        files = sorted(path for path in root.glob("*/**/*") if path.is_file() and not path.name.startswith("."))
        for number, path in enumerate(files):
            inside = path.relative_to(root)
            subject = inside.parts[0] if self.options.subject_from == "folder" else None
            yield _Entry(f"Image {number} (in path order)", inside.as_posix(), inside.parts[0], subject, None)

    def _from_csv(self, path: Path) -> Iterator[_Entry]:
        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                rows = csv.DictReader(file)
                missing = [column for column in _COLUMNS if column not in (rows.fieldnames or ())]
                if missing:
                    raise DataError(
                        f"The CSV has no column `{missing[0]}`.", "Its first line must be path,label,subject."
                    )
                for row in rows:
                    yield _entry(f"CSV line {rows.line_num}", row)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(
                f"The CSV {path} cannot be read.", "Save it as UTF-8 with commas and a header line."
            ) from error

    @cached_property
    def _form(self) -> tuple[str, int, int]:
        """(mode, width, height) of every image, from the files' headers."""
        mode, form = self.options.mode, None
        grey = True
        for entry in self._entries:
            with _decoding(entry), Image.open(self._inside(entry)) as image:
                size = (self.options.size,) * 2 if self.options.size else image.size
                deep = image.mode.startswith(("I", "F"))
                grey = grey and image.mode in ("1", "L")
            if deep:
                raise DataError(f"{entry.where} has more than 8 bits a channel.", "Convert it to 8 bits.")
            form = form or size
            if size != form:
                raise DataError(
                    f"{entry.where} is {size[0]}x{size[1]} pixels, the ones before {form[0]}x{form[1]}.",
                    "Set `size` to resize all of them.",
                )
        return ("L" if grey else "RGB") if mode == "auto" else mode, *form

    def _decode(self, entry: _Entry) -> np.ndarray:
        """uint8 (C, H, W)."""
        mode, *size = self._form
        with _decoding(entry), Image.open(self._inside(entry)) as image:
            picture = image.convert(mode)
            if picture.size != tuple(size):
                picture = picture.resize(tuple(size), Image.Resampling.BILINEAR)
            pixels = np.array(picture, np.uint8)
        return pixels[None] if mode == "L" else np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def _inside(self, entry: _Entry) -> Path:
        root = self.options.root.resolve()
        path = (root / entry.path).resolve()
        if not path.is_relative_to(root):
            raise DataError(f"{entry.where} points outside the folder of images.", "Use paths inside it.")
        return path


@contextlib.contextmanager
def _decoding(entry: _Entry) -> Iterator[None]:
    """Whatever goes wrong with an image's bytes is a `DataError` that says where the image was listed."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{entry.where}: there is no such image.", "Correct that line or add the file.") from error
    except _UNREADABLE as error:
        raise DataError(f"{entry.where} is not an image that can be decoded.", "Replace or remove it.") from error


def _entry(where: str, row: dict[str, str | None]) -> _Entry:
    path, label, subject, split = ((row.get(column) or "").strip() for column in (*_COLUMNS, "split"))
    if not path or not label:
        raise DataError(f"{where} has no path or no label.", "Fill in both.")
    if split and split not in SPLITS:
        raise DataError(f"{where} has an unknown split.", f"Use {', '.join(SPLITS)} or leave it empty.")
    return _Entry(where, path, label, subject or None, split or None)
