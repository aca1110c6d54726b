"""A WebDataset: tars in which neighbouring members of one name are one record (`0001.jpg`, `0001.cls`, `0001.json`).

The label is the text of `cls`, or a key of `json`; who is in a picture is a key of `json`. Members are read in memory;
nothing is unpacked. Convention: webdataset 1.0, `tariterators`: the key ends at the first dot of the file's name.
"""

import io
import json
import re
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field

from tmu.data.readers import reader
from tmu.data.readers.folder_walk import SPLIT_FOLDERS
from tmu.data.readers.named_splits import NamedSplits, splits_of
from tmu.data.readers.picture_files import SUFFIXES, Fault
from tmu.data.readers.picture_reader import Entry, PictureOptions, PictureReader, people_of
from tmu.errors import DataError

_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_BROKEN = (tarfile.TarError, OSError, EOFError, zlib.error)
_LARGEST = 256 << 20
"""Bytes of a member, at most: a packed tar can claim any size."""


class WebDatasetOptions(PictureOptions):
    """Where labels and people stand."""

    root: Path = Field(description="a folder of tars, or one tar")
    label: str | None = Field(None, description="key of the class in `json`; null: `cls`, else the key `label`")
    subject: str | None = Field(None, description="key of who is in a picture in `json`: one id, or a list")
    ids: Literal["key", "tar/key"] = Field("key", description="record id: the key, or with the tar's name before it")
    splits: NamedSplits | None = Field(None, description="keep the splits that tars are named by, or mix them")


@dataclass
class _Sample:
    """The members of one key. parts: content by extension."""

    key: str
    parts: dict[str, bytes | Fault] = field(default_factory=dict)


@reader("webdataset")
class WebDataset(PictureReader):
    """See the module."""

    Options = WebDatasetOptions

    def __init__(self, options: WebDatasetOptions) -> None:
        super().__init__(options)
        self._left_out: Counter[str] = Counter()

    def where(self, position: int) -> str:
        return f"Record {position + 1} of the tars"

    def left_out(self) -> Counter[str]:
        return self._left_out

    def entries(self) -> Iterator[Entry]:
        split, position = splits_of([_split_name(tar) for tar in self._tars], self.options.splits), 0
        self._left_out.clear()
        for number, tar in enumerate(self._tars, 1):
            for sample in self._samples(tar, number):
                name = sample.key if self.options.ids == "key" else f"{tar.name}/{sample.key}"
                yield self._entry(sample, self.where(position), name, split(_split_name(tar)))
                position += 1

    @cached_property
    def _tars(self) -> list[Path]:
        root = self.options.root
        found = [root] if root.is_file() else sorted(each for each in root.rglob("*") if each.is_file())
        found = [each for each in found if each.name.lower().endswith(_SUFFIXES) and not each.name.startswith(".")]
        if not found:
            raise DataError(f"There is no tar at {root}.", f"Set `root` to a folder of {', '.join(_SUFFIXES)}.")
        return found

    def _entry(self, sample: _Sample, where: str, name: str, split: str | None) -> Entry:
        try:
            told = _json_of(sample)
            people = people_of(told.get(self.options.subject) if self.options.subject else None)
            return Entry(where, name, self._label_of(sample, told), people, split, _picture_of(sample))
        except Fault as fault:
            return Entry(where, name, "", (), split, fault)

    def _label_of(self, sample: _Sample, told: dict[str, Any]) -> str:
        content = sample.parts.get("cls")
        if self.options.label is None and isinstance(content, bytes):
            label: Any = content.decode("utf-8", "replace").strip()
        else:
            label = told.get(self.options.label or "label")
        if isinstance(label, bool) or not isinstance(label, int | str) or label == "":
            raise Fault("has no label", "Add `cls`, or name a key of `json`: `--option label=KEY`.")
        return str(label)

    def _samples(self, path: Path, number: int) -> Iterator[_Sample]:
        """The records of a tar. Raises DataError for one that is damaged anywhere, or holds paths that leave it."""
        sample, done = None, 0
        try:
            with tarfile.open(path, "r:*") as tar:
                for member in tar:
                    key, extension = self._name_of(member, number)
                    if not extension:
                        continue
                    if sample is None or sample.key != key:
                        if sample is not None:
                            yield sample
                        sample = _Sample(key)
                    if extension in sample.parts:
                        raise DataError(f"Tar {number} holds a file twice.", "Make it again.", [member.name])
                    sample.parts[extension] = _content(tar, member)
                    done += 1
                _refuse_cut(tar)
        except _BROKEN as error:
            raise DataError(
                f"Tar {number} of {len(self._tars)} is damaged after {done:,} members.",
                "Make or download it again.",
                [f"tar {number}: {path}"],
            ) from error
        if sample is not None:
            yield sample

    def _name_of(self, member: tarfile.TarInfo, number: int) -> tuple[str, str]:
        """Key and extension of a member; no extension: it is passed over."""
        place = PurePosixPath(member.name)
        if place.is_absolute() or ".." in place.parts:
            raise DataError(
                f"Tar {number} holds a path that leads out of it.",
                "Do not trust that tar; make it again.",
                [member.name],
            )
        if not member.isreg():
            self._left_out.update([] if member.isdir() else ["link or device in a tar"])
            return "", ""
        base, dot, extension = place.name.partition(".")
        if not base or not dot:
            self._left_out["member without a key or an extension"] += 1
            return "", ""
        return str(place.parent / base), extension.lower()


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | Fault:
    if member.size > _LARGEST:
        return Fault("is too large", "Scale it down.", f"is too large (over {_LARGEST >> 20} MiB)")
    stream = tar.extractfile(member)
    return stream.read() if stream else b""


def _refuse_cut(tar: tarfile.TarFile) -> None:
    """Raise ReadError where members ended without the tar's end: `tarfile` takes a broken header for it."""
    file = tar.fileobj
    if file is None:
        return
    file.seek(tar.offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("no end of the archive")


def _picture_of(sample: _Sample) -> bytes:
    found = [content for extension, content in sample.parts.items() if f".{extension}" in SUFFIXES]
    if not found:
        raise Fault("has no picture", "Add one, such as a jpg.")
    if len(found) > 1:
        raise Fault("has several pictures", "Give each a key of its own.")
    if isinstance(found[0], Fault):
        raise found[0]
    return found[0]


def _json_of(sample: _Sample) -> dict[str, Any]:
    content = sample.parts.get("json", b"{}")
    if isinstance(content, Fault):
        raise content
    try:
        told = json.load(io.BytesIO(content))
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise Fault("has damaged JSON", "Correct it: an object is expected.")
    return told


def _split_name(tar: Path) -> str:
    """What a tar is named by before the first digit, dash or the like; a folder that is a split by name counts, too."""
    named = re.match(r"[A-Za-z]+", tar.name)
    for name in (named[0] if named else "", tar.parent.name):
        if name.lower() in SPLIT_FOLDERS:
            return name
    return ""
