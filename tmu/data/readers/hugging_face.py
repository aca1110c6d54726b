"""A data set of Hugging Face on the disk: a folder of `save_to_disk`, or Parquet files as the hub keeps them.

Read with pyarrow: no code of the set is run and nothing is fetched. Formats: Arrow's IPC streams named in `state.json`;
the features (`Image`, `ClassLabel`) are in the schema's metadata, key `huggingface` (datasets 2 to 5).
"""

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field

from tmu.data.readers import reader
from tmu.data.readers.hugging_face_files import BROKEN, SetFile, files_of
from tmu.data.readers.named_splits import NamedSplits, splits_of
from tmu.data.readers.picture_files import Fault
from tmu.data.readers.picture_reader import Entry, PictureOptions, PictureReader, people_of
from tmu.errors import ConfigError, DataError


class HuggingFaceOptions(PictureOptions):
    """Which columns say what. Null: the only one of its kind."""

    root: Path
    image: str | None = Field(None, description="column of the pictures")
    label: str | None = Field(None, description="column of the classes")
    subject: str | None = Field(None, description="column of who is in a picture: one id, or a list")
    id: str | None = Field(None, description="column of record ids; null: split and row number")
    splits: NamedSplits | None = Field(None, description="keep the set's splits, or mix them; null: it has none")


@reader("hugging-face")
class HuggingFace(PictureReader):
    """See the module."""

    Options = HuggingFaceOptions

    def named_classes(self) -> list[str] | None:
        names = self._features.get(self._label, {}).get("names")
        return [str(name) for name in names] if isinstance(names, list) else None

    def where(self, position: int) -> str:
        return f"Row {position + 1} of the set"

    def entries(self) -> Iterator[Entry]:
        split, rows = splits_of([file.split for file in self._files], self.options.splits), dict[str, int]()
        position = 0
        for file in self._files:
            for row in self._rows(file):
                place = rows.get(file.split, 0)
                rows[file.split] = place + 1
                named = self.options.id and row[self.options.id]
                name = str(named) if named is not None else f"{file.split or 'all'}/{place}"
                yield self._entry(row, self.where(position), name, split(file.split))
                position += 1

    def _entry(self, row: dict[str, Any], where: str, name: str, split: str | None) -> Entry:
        try:
            people = people_of(row[self.options.subject] if self.options.subject else None)
            label, cell = self._class_of(row[self._label]), row[self._image]
        except Fault as fault:
            return Entry(where, name, "", (), split, fault)
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        source = content if isinstance(content, bytes) else _OUTSIDE
        return Entry(where, name, label, people, split, source)

    def _class_of(self, value: Any) -> str:
        names = self.named_classes()
        if value is None or isinstance(value, float | list | dict) or value == "":
            raise Fault("has no label", "Fill it in, or name the column with `--option label=NAME`.")
        if names is None:
            return str(value)
        if not isinstance(value, int) or not 0 <= value < len(names):
            raise Fault(
                "has an unknown label", "Leave out rows of no class (-1).", f"has the label {value}, of no class"
            )
        return names[value]

    def _rows(self, file: SetFile) -> Iterator[dict[str, Any]]:
        columns, done = [self._image, self._label], 0
        columns += [name for name in (self.options.subject, self.options.id) if name]
        try:
            for batch in file.batches(columns):
                batch.validate(full=True)
                for row in range(batch.num_rows):
                    yield {name: batch.column(name)[row].as_py() for name in dict.fromkeys(columns)}
                    done += 1
        except BROKEN as error:
            raise file.damaged(done) from error

    @cached_property
    def _files(self) -> list[SetFile]:
        return files_of(self.options.root)

    @cached_property
    def _schema(self) -> pa.Schema:
        """That of the first file; the others are held to it when they are read."""
        return self._files[0].schema()

    @cached_property
    def _features(self) -> dict[str, dict[str, Any]]:
        try:
            told = json.loads((self._schema.metadata or {}).get(b"huggingface", b"{}"))
            features = told.get("info", {}).get("features", {})
            return {name: each for name, each in features.items() if isinstance(each, dict)}
        except (ValueError, AttributeError, RecursionError) as error:
            raise self._files[0].damaged(0) from error

    @cached_property
    def _image(self) -> str:
        found = self._of_kind("image", "Image", self.options.image)
        kind = self._schema.field(found).type
        if not (_is_bytes(kind) or (pa.types.is_struct(kind) and any(each.name == "bytes" for each in kind))):
            raise DataError(
                "The column of the pictures holds no encoded pictures.", "Name another: `--option image=NAME`."
            )
        return found

    @cached_property
    def _label(self) -> str:
        return self._of_kind("label", "ClassLabel", self.options.label)

    def _of_kind(self, option: str, kind: str, named: str | None) -> str:
        """The column of an option: the named one, else the only one of its feature. Raises ConfigError, DataError."""
        columns = self._schema.names
        for name in filter(None, (named, self.options.subject, self.options.id)):
            if name not in columns:
                raise ConfigError(f"The set has no column `{name}`.", f"Its columns: {', '.join(columns)}.")
        if named:
            return named
        found = [name for name, each in self._features.items() if each.get("_type") == kind and name in columns]
        found = found or [name for name in columns if name == option]
        if len(found) == 1:
            return found[0]
        count = "no column" if not found else f"{len(found)} columns"
        raise DataError(
            f"The set has {count} of the feature {kind}.",
            f"Name it with `--option {option}=NAME`; the columns: {', '.join(columns)}.",
        )


_OUTSIDE = Fault("has no picture in the set", "Save the set with its pictures inside, not as paths of files.")


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
