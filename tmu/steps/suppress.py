"""The list of erased pictures: written before an erasure, asked by every import, and before a model is trained."""

from collections.abc import Callable, Collection
from contextlib import suppress as passing

import numpy as np

from tmu.data.index import Index
from tmu.data.keys import DEMO_SECRET, Keys
from tmu.data.records import SPLITS
from tmu.data.store import RecordStore
from tmu.errors import ConfigError, DataError
from tmu.steps.store_keys import keys_of
from tmu.suppression.pictures import FILE, Pictures
from tmu.suppression.tombstones import Tombstones
from tmu.words import counted
from tmu.workspace import Workspace

_SHOWN = 10
_SAMPLE, _LEAST = 1_000, 200
"""Staying pictures from which the distance that counts as near is taken: most, and least where there are so many."""


def pictures_of(workspace: Workspace, keys: Keys) -> Pictures:
    """The list as these keys read it, and all secrets that the workspace has, former ones, too. Raises StorageError.

    It lies beside the tombstones, where a restored backup does not reach.
    """
    others = [Keys(DEMO_SECRET)]
    with passing(ConfigError):
        if workspace.key_file.exists():
            others += workspace.keys(simulated=False).ring
    return Pictures(Tombstones.of(workspace).folder, [*keys.ring, *others])


def suppress_pictures(workspace: Workspace, store: RecordStore, records: Collection[str]) -> int:
    """Write down the pictures of records (keys) that are about to be erased; returns how many are new.

    A picture of which a copy stays, under another id, is left out: the plan names it, and whoever asks for the deletion
    decides on it (`--with-copies`). Only the shards of the records are read, and so many more as the sample takes.
    """
    index = store.index()
    positions, _ = index.find_records(records)
    if not len(positions):
        return 0
    contents = store.contents()
    kept = set(contents.values[contents.copies_of(positions)].tolist())
    alone = positions[[value not in kept for value in contents.values[positions].tolist()]]
    sample = store.at(_sample(index, positions)).images
    return pictures_of(workspace, keys_of(workspace, store.info)).add(store.at(alone).images, sample)


def _sample(index: Index, leaving: np.ndarray) -> np.ndarray:
    """Positions of staying records: of the shards that are read anyway, then of others while they are too few."""
    stays = np.ones(len(index), bool)
    stays[leaving] = False
    touched = np.unique(index.buckets[leaving])
    found = np.empty(0, np.int64)
    for bucket in (*touched, *np.setdiff1d(np.unique(index.buckets), touched)):
        if len(found) >= _LEAST and bucket not in touched:
            break
        found = np.concatenate([found, np.flatnonzero(stays & (index.buckets == bucket))])
    return found[:_SAMPLE]


def take_back_pictures(workspace: Workspace, store: RecordStore, records: Collection[str]) -> int:
    """Take pictures from the list again, whose erasure was begun and withdrawn; returns how many.

    Else every training would refuse the records, which stay. Call it under the lock of the data.
    """
    pictures = pictures_of(workspace, keys_of(workspace, store.info))
    if not len(pictures):
        return 0
    return pictures.remove(store.at(store.index().find_records(records)[0]).images)


def refuse_suppressed(workspace: Workspace, store: RecordStore, without: Collection[str] = ()) -> None:
    """Raise DataError where the training records of a store, less those `without` (keys), hold an erased picture.

    Originals, golds and references ask here. Only equal pixels are looked for: an import turns near copies away.
    """
    if not (Tombstones.of(workspace).folder / FILE).exists():
        return
    index = store.index()
    trained = index.splits == SPLITS.index("train")
    trained[index.find_records(without)[0]] = False
    values = store.contents().values[trained]
    raw = np.ascontiguousarray(values).tobytes()
    width = values.dtype.itemsize
    pictures = pictures_of(workspace, keys_of(workspace, store.info))
    found = pictures.exact_digests(raw[start : start + width] for start in range(0, len(raw), width))
    if found:
        raise DataError(
            f"The training records hold {found} pictures that were erased.",
            "An old revision is in the workspace: `tmu restore` erases them again; or import the data anew.",
        )


class TurnedAway:
    """What an import turns away, record by record: pictures that were erased, or look like one.

    known: the index of the store that is replaced, whose records were there beside the erased ones and pass.
    exact: how many were erased ones. near_at: positions of those that look like one.
    """

    def __init__(self, pictures: Pictures, known: Index | None, *, refuse_near: bool = True) -> None:
        self._pictures, self._known, self._refuse_near = pictures, known, refuse_near
        self.exact, self.near_at = 0, list[int]()

    def __call__(self, position: int, key: str, image: np.ndarray) -> bool:
        """Whether a record stays out; its position, its key, and its picture as uint8 (C, H, W)."""
        if not len(self._pictures) or (self._known is not None and len(self._known.find_record(key))):
            return False
        if self._pictures.exact(image):
            self.exact += 1
            return True
        if self._pictures.near(image):
            self.near_at.append(position)
            return self._refuse_near
        return False

    def sentences(self, where: Callable[[int], str]) -> tuple[str, ...]:
        """What was turned away, in words; where: a position in the reader's terms, free of ids."""
        said = []
        if self.exact:
            said.append(f"{counted(self.exact, 'picture')} left out: erased before, and here under another id.")
        if self.near_at:
            places = ", ".join(map(where, self.near_at[:_SHOWN])) + (", ..." if len(self.near_at) > _SHOWN else "")
            done = "left out" if self._refuse_near else "imported all the same"
            said.append(
                f"{counted(len(self.near_at), 'picture')} {done}: like an erased one, or its mirror image ({places})."
            )
        return tuple(said)
