"""A small made-up dataset with subjects, and stores of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tmu.config import Config
from tmu.data.importer import import_records
from tmu.data.info import SplitRule
from tmu.data.keys import Keys
from tmu.data.readers import Reader
from tmu.data.records import Record
from tmu.data.store import RecordStore

SECRET = b"a secret for tests only, 32 byte"


class Made(Reader):
    """`n` records of (C, H, W) random bytes; record i is about person i % people and of class i % classes."""

    name, simulated, Options = "made", True, Config
    split_rule = SplitRule(holdout=0.25, test=0.25)

    def __init__(self, n: int = 120, people: int = 20, n_classes: int = 3, form: tuple[int, int, int] = (1, 4, 4)):
        super().__init__(Config())
        self.n, self.people, self.n_classes, self.form = n, people, n_classes, form

    def classes(self) -> list[str]:
        return [f"class-{number}" for number in range(self.n_classes)]

    def shape(self) -> tuple[int, int, int]:
        return self.form

    def count(self) -> int:
        return self.n

    def records(self) -> Iterator[Record]:
        stream = np.random.default_rng(0)
        for number in range(self.n):
            image = stream.integers(0, 256, self.form, np.uint8)
            yield Record(f"r{number}", f"person-{number % self.people}", number % self.n_classes, image)


@pytest.fixture
def made() -> type[Made]:
    return Made


@pytest.fixture
def keys() -> Keys:
    return Keys(SECRET)


@pytest.fixture
def make_store(tmp_path: Path, keys: Keys) -> Callable[..., RecordStore]:
    def make(name: str = "data", reader: Reader | None = None, **options: object) -> RecordStore:
        options = {"n_buckets": 8} | options
        import_records(reader or Made(), tmp_path / name, keys, **options)
        return RecordStore.open(tmp_path / name, keys)

    return make
