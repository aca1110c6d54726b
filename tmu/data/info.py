"""`store.json`: what a store is, without anything that a deletion changes (no counts)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer, model_validator

from tmu.config import Config
from tmu.data.ids import FIRST, IdRule
from tmu.errors import DataError
from tmu.files import canonical_json, storage_errors

STORE_FILE = "store.json"
SHARD_FOLDER = "shards"
RETIRED = "retired-{}"
"""What a class is called that was erased as a whole, by its position."""
_LEAST_BUCKETS, _SHARD_BYTES = 64, 64 << 20
MOST_BUCKETS = 256  # two hex digits name a shard, and an import holds one open file a bucket


class SplitRule(Config):
    """Shares of the records that the key sends to each split, where the reader does not say.

    by: whose key; with `subject` all records of a person are in one split (a record of several goes with the first).
    """

    holdout: float = Field(0.1, ge=0, lt=1)
    test: float = Field(0.1, ge=0, lt=1)
    seed: int = 0
    by: Literal["record", "subject"] = "record"

    @model_serializer(mode="wrap")
    def _without_the_default(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A store that is split by record keeps the bytes that it always had."""
        return {name: value for name, value in dump(self).items() if (name, value) != ("by", "record")}

    def split(self, fraction: float) -> str:
        """The split of the key whose `Keys.split_fraction` is `fraction`."""
        if fraction < self.test:
            return "test"
        return "holdout" if fraction < self.test + self.holdout else "train"


class StoreInfo(Config):
    """The content of `store.json`. `shape` is (C, H, W) of uint8 images; `key_id` tells the secret (`Keys.id`).

    `ids`: the rule of the people's ids; None in a store older than the rule, and where people are simulated. `retired`:
    positions in `classes` of those that were erased as a whole; their names are gone, since a class can be a person.
    `decoder`: what decoded the kept JPEGs at the import (`tmu/data/jpeg.py`); None where none are kept.
    """

    format: Literal[1] = 1
    reader: str
    dataset: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    n_buckets: int = Field(64, ge=1, le=MOST_BUCKETS)
    key_id: str
    simulated: bool
    split_rule: SplitRule
    ids: IdRule | None = None
    retired: tuple[int, ...] = ()
    decoder: str | None = None

    @model_validator(mode="after")
    def _retired_are_classes(self) -> "StoreInfo":
        if list(self.retired) != sorted(set(self.retired).intersection(range(len(self.classes)))):
            raise ValueError("retired: not ascending positions of classes")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A store of simulated people, one without retired classes or kept JPEGs keep the bytes they always had."""
        unset = {"ids": None, "retired": [], "decoder": None}
        return {
            name: value
            for name, value in dump(self).items()
            if name not in unset or (list(value) if isinstance(value, tuple) else value) != unset[name]
        }

    def retiring(self, labels: Iterable[int]) -> "StoreInfo":
        """The store without these classes (positions): a model has no output for them. Labels stay as they are."""
        retired = tuple(sorted({*self.retired, *labels}))
        classes = tuple(RETIRED.format(label) if label in retired else name for label, name in enumerate(self.classes))
        return StoreInfo.model_validate(self.model_dump() | {"classes": classes, "retired": retired})

    @property
    def live(self) -> tuple[str, ...]:
        """The classes that a model has an output for, in the order of the outputs."""
        return tuple(name for label, name in enumerate(self.classes) if label not in self.retired)

    @property
    def outputs(self) -> np.ndarray:
        """int64 (K,): the output of each label; -1 for a retired class."""
        stays = np.isin(np.arange(len(self.classes)), self.retired, invert=True)
        return np.where(stays, np.cumsum(stays) - 1, -1)

    @property
    def id_rule(self) -> IdRule:
        """The rule under which ids are looked up: the first one for a store that names none."""
        return self.ids or (IdRule() if self.simulated else FIRST)

    @property
    def image_bytes(self) -> int:
        """C·H·W, the size of one image."""
        channels, height, width = self.shape
        return channels * height * width


def buckets_for(records: int | None, image_bytes: int) -> int:
    """How many shards an import makes: as many as hold 64 MiB of pixels each, between 64 and 256.

    A shard is in memory as a whole when it is written, checked or erased from. records: None where nobody can tell.
    """
    whole = (records or 0) * image_bytes
    return min(MOST_BUCKETS, max(_LEAST_BUCKETS, -(-whole // _SHARD_BYTES)))


def shard_path(store: Path, bucket: int) -> Path:
    """Where the shard of a bucket lies."""
    return store / SHARD_FOLDER / f"{bucket:02x}.parquet"


def shard_paths(store: Path) -> list[Path]:
    """All shards of a store in bucket order."""
    return sorted((store / SHARD_FOLDER).glob("*.parquet"))


def write_info(store: Path, info: StoreInfo) -> None:
    """Write `store.json` as canonical JSON."""
    path = store / STORE_FILE
    with storage_errors(path):
        path.write_bytes(canonical_json(info.model_dump(mode="json")) + b"\n")


def read_info(store: Path) -> StoreInfo:
    """Read `store.json`; `DataError` where there is none or it is of another format."""
    path = store / STORE_FILE
    try:
        return StoreInfo.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            f"There is no record store at {store}.", "Run `tmu data import READER` first, or name its folder."
        ) from error
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "JSON"
        raise DataError(
            f"{path} does not describe a store ({where}).", "Restore it with `dvc checkout`, or import again."
        ) from error
