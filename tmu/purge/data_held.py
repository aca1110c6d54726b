"""What one file of a data revision or a stage holds of a scope, by opening it."""

import re
from pathlib import Path, PurePosixPath

from tmu.data.info import SHARD_FOLDER, STORE_FILE, StoreInfo, read_info
from tmu.data.keys import to_hex
from tmu.data.shards import read_keys
from tmu.errors import DataError
from tmu.files import sha256_file
from tmu.purge.scope import Scope
from tmu.purge.trace import Holds

_KEY = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_TEXT = (".json", ".jsonl", ".csv", ".txt", ".html")


def held(scope: Scope, name: str, path: Path, live: Path) -> Holds | None:
    """What the file at `path` holds, which a list names `name`; None of nothing. live: the folder of the live data.

    A shard is looked through by keys; its tombstones do not count, since they keep the erased out. One that cannot be
    read counts as if it held somebody.
    """
    place = PurePosixPath(name)
    if place.parent.name == SHARD_FOLDER and place.suffix == ".parquet":
        return Holds.IMAGES if _may_be_in_shard(scope, path) else None
    if place.name == STORE_FILE:
        return Holds.NAMES if _names_retired(path, live) else None
    if place.suffix == ".safetensors":
        sha256 = sha256_file(path) if scope.learned else ""
        return Holds.WEIGHTS if sha256 in scope.learned and sha256 not in scope.spared else None
    keys = {each.decode() for each in _KEY.findall(path.read_bytes())} if place.suffix in _TEXT else set()
    return None if scope.every_key.isdisjoint(keys) else Holds.KEYS


def in_shard(scope: Scope, path: Path) -> bool:
    """Whether a shard holds a record or a person of the scope. Raises DataError for what is no sound shard."""
    shard = read_keys(path)
    return not scope.every_key.isdisjoint(to_hex(shard.record_keys) + to_hex(shard.people()))


def _may_be_in_shard(scope: Scope, path: Path) -> bool:
    try:
        return in_shard(scope, path)
    except DataError:
        return True


def _names_retired(path: Path, live: Path) -> bool:
    """Whether a description names a class that was erased as a whole: a class can be a person."""
    old = StoreInfo.model_validate_json(path.read_bytes())
    return not set(read_info(live).retired) <= set(old.retired)
