"""What one file of a data revision or a stage holds of a scope, by opening it."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

import numpy as np
from pydantic import ValidationError

from tmu.data.info import SHARD_FOLDER, STORE_FILE, StoreInfo, read_info
from tmu.data.keys import from_hex, to_hex
from tmu.data.shards import read_keys
from tmu.errors import DataError
from tmu.files import sha256_file
from tmu.purge.scope import Scope
from tmu.purge.trace import Holds

_KEY = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_TEXT = (".json", ".jsonl", ".csv", ".txt", ".html")


def is_revision(names: Iterable[str]) -> bool:
    """Whether files of those names make a data revision."""
    places = [PurePosixPath(name) for name in names]
    return PurePosixPath(STORE_FILE) in places and any(map(_is_shard, places))


def may_hold(scope: Scope, name: str) -> bool:
    """Whether a file of that name is worth opening."""
    place = PurePosixPath(name)
    weights = place.suffix == ".safetensors" and bool(scope.learned)
    return _is_shard(place) or place.name == STORE_FILE or weights or place.suffix in _TEXT


def held(scope: Scope, name: str, path: Path, live: Path) -> Holds | None:
    """What the file at `path` holds, which a list names `name`; None of nothing. live: the folder of the live data.

    A shard is looked through by keys; its tombstones do not count, since they keep the erased out. One that cannot be
    read counts as if it held somebody.
    """
    place = PurePosixPath(name)
    if _is_shard(place):
        return Holds.IMAGES if _may_be_in_shard(scope, path) else None
    if place.name == STORE_FILE:
        return Holds.NAMES if _names_retired(path, live) else None
    if place.suffix == ".safetensors":
        sha256 = sha256_file(path) if scope.learned else ""
        return Holds.WEIGHTS if sha256 in scope.learned and sha256 not in scope.spared else None
    keys = {each.decode() for each in _KEY.findall(path.read_bytes())} if place.suffix in _TEXT else set()
    return None if scope.every_key.isdisjoint(keys) else Holds.KEYS


def description(path: Path) -> StoreInfo | None:
    """What a `store.json` says; None of a file that only has that name."""
    try:
        return StoreInfo.model_validate_json(path.read_bytes())
    except ValidationError:
        return None


def in_shard(scope: Scope, path: Path) -> bool:
    """Whether a shard holds a record or a person of the scope. Raises DataError for what is no sound shard."""
    shard = read_keys(path)
    return not scope.every_key.isdisjoint(to_hex(shard.record_keys) + to_hex(shard.people()))


def only_copy(people: Collection[str], name: str, path: Path, live: Path) -> bool:
    """Whether the file at `path`, which a list names `name`, is a shard with records of people that the data lack now.

    live: the folder of the live data. A shard that cannot be read has nobody's.
    """
    if not people or not _is_shard(PurePosixPath(name)):
        return False
    try:
        old, now = read_keys(path), live / name
        wanted = from_hex(people)
        mine = np.isin(old.subject_keys, wanted)
        mine[old.more_rows[np.isin(old.more_subjects, wanted)]] = True
        stays = read_keys(now).record_keys if now.is_file() else old.record_keys[:0]
    except DataError:
        return False
    return not bool(np.isin(old.record_keys[mine], stays).all())


def _may_be_in_shard(scope: Scope, path: Path) -> bool:
    try:
        return in_shard(scope, path)
    except DataError:
        return True


def _names_retired(path: Path, live: Path) -> bool:
    """Whether a description names a class that was erased as a whole: a class can be a person."""
    old = description(path)
    return old is not None and not set(read_info(live).retired) <= set(old.retired)


def _is_shard(place: PurePosixPath) -> bool:
    return place.parent.name == SHARD_FOLDER and place.suffix == ".parquet"
