"""The files of a Hugging Face data set on the disk, in their order, and what can be read of each with pyarrow."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tmu.data.readers.folder_walk import SPLIT_FOLDERS
from tmu.errors import DataError

BROKEN = (pa.ArrowException, OSError, ValueError, KeyError, TypeError)
"""What pyarrow raises on bytes that are not what they claim."""
_STATE, _DICT = "state.json", "dataset_dict.json"
_ROWS = 64


@dataclass(frozen=True)
class SetFile:
    """Arrow stream or Parquet. split: as the set names it. number, of: which of how many."""

    path: Path
    split: str
    number: int
    of: int

    def schema(self) -> pa.Schema:
        """Its columns and what is told of them. Raises DataError."""
        try:
            if self.path.suffix == ".parquet":
                return pq.read_schema(self.path)
            with pa.memory_map(str(self.path)) as file:
                return pa.ipc.open_stream(file).schema
        except BROKEN as error:
            raise self.damaged(0) from error

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Its rows, some at a time. Raises what is in `BROKEN`."""
        if self.path.suffix == ".parquet":
            with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
                yield from file.iter_batches(batch_size=_ROWS, columns=columns, use_threads=False)
            return
        with pa.memory_map(str(self.path)) as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                yield batch.select(columns)

    def damaged(self, after: int) -> DataError:
        return DataError(
            f"File {self.number} of {self.of} is damaged or of another form after {after:,} rows.",
            "Save or download the set again.",
            [f"file {self.number}: {self.path}"],
        )


def files_of(root: Path) -> list[SetFile]:
    """The files of the set in a folder. Raises DataError where there is none, or more than one."""
    if not root.is_dir():
        raise DataError(f"There is no folder {root}.", "Set `root` to the folder of the set.")
    found = _of_parts(root) if (root / _DICT).is_file() else _of_state(root, "") or _of_parquet(root)
    if not found:
        raise DataError(
            f"{root} is no data set on the disk.", f"Name a folder with {_STATE}, {_DICT} or Parquet files."
        )
    return [SetFile(path, split, number, len(found)) for number, (split, path) in enumerate(found, 1)]


def _of_parts(root: Path) -> list[tuple[str, Path]]:
    """The files of all splits of a saved `DatasetDict`, with the splits."""
    return [each for name in _names(root / _DICT, lambda told: told["splits"]) for each in _of_state(root / name, name)]


def _of_state(folder: Path, split: str) -> list[tuple[str, Path]]:
    if not (folder / _STATE).is_file():
        return []
    names = _names(folder / _STATE, lambda told: [each["filename"] for each in told["_data_files"]])
    return [(split, folder / name) for name in names]


def _names(path: Path, of: Callable[[Any], list[str]]) -> list[str]:
    """Names of files or folders beside a JSON file. Raises DataError for what is not readable, or leads elsewhere."""
    try:
        names = [str(name) for name in of(json.loads(path.read_bytes()))]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path.name} of the set is damaged.", "Save the set again.") from error
    if any(Path(name).name != name or name in ("", ".", "..") for name in names):
        raise DataError(f"{path.name} of the set names a file outside of it.", "Do not trust that set; save it again.")
    return names


def _of_parquet(root: Path) -> list[tuple[str, Path]]:
    """Parquet files below a folder by path, each with its split: that of its name, or of its folder."""
    paths = [path for path in sorted(root.rglob("*.parquet")) if path.is_file()]
    paths = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(root).parts)]
    tops = {path.parent for path in paths if path.parent.name.lower() not in SPLIT_FOLDERS}
    if len(tops) > 1:
        raise DataError(f"{root} holds several data sets ({len(tops)} folders).", "Name the folder of one as `root`.")
    return [(_split_name(path), path) for path in paths]


def _split_name(path: Path) -> str:
    named = re.match(r"[A-Za-z]+", path.stem)
    for name in (named[0] if named else "", path.parent.name):
        if name.lower() in SPLIT_FOLDERS:
            return name
    return named[0] if named else ""
