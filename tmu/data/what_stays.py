"""What a deletion leaves behind in the data that a person would expect to go: copies of pictures, ids that are alike.

Byte-equal pixels count as identical. A picture that was scaled or encoded again is a near copy, found by its look.
"""

from collections.abc import Collection

import numpy as np
from pydantic import Field

from tmu.config import Config
from tmu.data.index import Index
from tmu.data.keys import to_hex
from tmu.data.records import SPLITS
from tmu.data.store import RecordStore
from tmu.words import counted

_COUNTED = 1_000
"""Identical pictures up to which the people behind them are counted: that takes a look at each."""


class Stays(Config):
    """Counts. copies: identical pictures that stay, by split. people: whose these are; None where they are too many.
    near: pictures that stay and look like one that goes, by split (`Contents.like`).

    alike_people, alike_records: people whose ids differ from a named one by letter case, blanks or width alone, and
    how many records they have. shared, others: pictures that go and show people who are not named, and how many
    people these are.
    """

    copies: dict[str, int]
    people: int | None = 0
    near: dict[str, int] = Field(default_factory=dict)
    alike_people: int = 0
    alike_records: int = 0
    shared: int = 0
    others: int = 0

    @property
    def n_near(self) -> int:
        """Near copies of all splits."""
        return sum(self.near.values())

    @property
    def n_copies(self) -> int:
        """Identical pictures of all splits."""
        return sum(self.copies.values())

    @property
    def sentences(self) -> tuple[str, ...]:
        """The same in words, for who decides; nothing where nothing stays."""
        said = []
        if self.n_copies:
            splits = ", ".join(f"{number:,} {split}" for split, number in self.copies.items() if number)
            whose = "" if self.people is None else f" ({counted(self.people, 'person', 'people')})"
            learned = "The model keeps what it learned from those in train. " if self.copies["train"] else ""
            said.append(
                f"{counted(self.n_copies, 'identical picture')} under other ids{whose}: {splits}. {learned}"
                "To delete them too, ask with --with-copies."
            )
        if self.n_near:
            splits = ", ".join(f"{number:,} {split}" for split, number in self.near.items() if number)
            said.append(
                f"{counted(self.n_near, 'staying record')} that look like ones that go, such as the same picture "
                f"resized or encoded again: {splits}. `tmu data verify --pairs` lists pairs by record key."
            )
        if self.alike_people:
            said.append(
                f"{counted(self.alike_records, 'record')} of {counted(self.alike_people, 'person', 'people')} whose "
                "id differs from a named one only by letter case, blanks or width. Ask whether that is the same person."
            )
        return tuple(said)

    def warnings(self, n_train: int) -> tuple[str, ...]:
        """What the plan must warn of. n_train: training records that go."""
        return (*self._of_others(), *(() if n_train else self._of_no_model()))

    def _of_others(self) -> tuple[str, ...]:
        if not self.shared:
            return ()
        pictures, people = counted(self.shared, "picture"), counted(self.others, "person", "people")
        shows, goes = ("shows", "it goes") if self.shared == 1 else ("show", "they go")
        are = "is" if self.others == 1 else "are"
        return (f"{pictures} of these also {shows} {people} who {are} not named: {goes} for all of them.",)

    def _of_no_model(self) -> tuple[str, ...]:
        if self.copies.get("train"):
            pictures = counted(self.copies["train"], "identical picture")
            verb, which = ("is", "it") if self.copies["train"] == 1 else ("are", "them")
            return (
                f"None of these records is in train, but {pictures} {verb}: the model has learned {which}, and only "
                "the data change.",
            )
        return ("No model has learned these records: only the data change.",)


def what_stays(store: RecordStore, positions: np.ndarray, subjects: Collection[str]) -> Stays:
    """What stays when the records at `positions` (of the store's index) go. subjects: keys of the people named."""
    contents, index = store.contents(), store.index()
    by_split = contents.copies_by_split(positions)
    few = 0 < by_split.sum() <= _COUNTED
    people = len(index.people_at(contents.copies_of(positions))) if few else None if by_split.sum() else 0
    others = {other for key in subjects for other in index.alike_to(key)}.difference(subjects)
    records = [index.find_subject(key) for key in sorted(others)]
    shared, unnamed = _with_others(index, positions, subjects)
    return Stays(
        copies=dict(zip(SPLITS, by_split.tolist(), strict=True)),
        people=people,
        near=_by_split(index, contents.like(positions)),
        alike_people=len(others),
        alike_records=len(np.unique(np.concatenate(records))) if records else 0,
        shared=shared,
        others=unnamed,
    )


def _with_others(index: Index, positions: np.ndarray, subjects: Collection[str]) -> tuple[int, int]:
    """Pictures of several people of whom not all are named, and how many people are not."""
    several = np.intersect1d(positions, index.more_positions)
    people = [set(index.people_at(several[place : place + 1])).difference(subjects) for place in range(len(several))]
    return sum(map(bool, people)), len(set().union(*people))


def _by_split(index: Index, positions: np.ndarray) -> dict[str, int]:
    counts = np.bincount(index.splits[positions], minlength=len(SPLITS)).tolist()
    return {split: number for split, number in zip(SPLITS, counts, strict=True) if number}


def copies_of(store: RecordStore, subjects: Collection[str], records: Collection[str]) -> list[str]:
    """Keys (hex) of the records that hold the same pictures as the named ones; who is not in the store is passed by."""
    index = store.index()
    named = [index.find_records(records)[0], *map(index.find_subject, subjects)]
    positions = np.unique(np.concatenate(named))
    return to_hex(index.record_keys[store.contents().copies_of(positions)])
