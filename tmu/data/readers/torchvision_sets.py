"""What the public sets that torchvision can fetch have in common (`idx_sets.py`, `cifar_sets.py`).

torchvision supplies addresses, MD5 checks and the download; the files are decoded here, because torchvision reads
CIFAR with an open pickle loader. The official test part is split "test"; train and holdout are drawn in exact numbers
from the official training part by a seeded permutation. Nobody can be named in these sets: subjects are simulated.
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from tmu.config import Config
from tmu.data.readers import Reader
from tmu.data.records import Record
from tmu.errors import ConfigError, StorageError

HINT = "Set `root` to the folder that holds it, or `download: true`."


class SetOptions(Config):
    """Options of a public set. Numbers: records of each split (null: all the rest; holdout: a quarter of the part)."""

    root: Path
    download: bool = False
    train: int | None = Field(None, ge=1)
    holdout: int | None = Field(None, ge=0)
    test: int | None = Field(None, ge=0)
    sample_seed: int = Field(0, ge=0, lt=2**32)
    subjects: int | None = Field(None, ge=1, description="simulated contributors; null: each record is its own")


class PublicSet(Reader):
    """What the sets have in common: sampling and simulated contributors."""

    simulated = True
    Options = SetOptions
    torchvision_class: ClassVar[str]
    official: ClassVar[tuple[int, int]]  # records of the official training part, official test part

    @abstractmethod
    def images(self, part: str) -> Iterator[tuple[np.ndarray, int]]:
        """(image uint8 (C, H, W), label) of an official part ("train" or "test") in file order."""

    def source(self) -> Any:
        """Torchvision's class: addresses, MD5s and class names."""
        from torchvision import datasets

        return getattr(datasets, self.torchvision_class)

    def download(self, urls: Sequence[str], folder: Path, filename: str, md5: str, *, unpack: bool = False) -> None:
        """Fetch a published file from the first address that has it; torchvision's own constructors are not called,
        because they would open the files with a pickle loader.
        """
        from torchvision.datasets.utils import download_and_extract_archive, download_url

        fetch = download_and_extract_archive if unpack else download_url
        reason = "no address"
        for url in urls:
            try:
                return fetch(url, str(folder), filename=filename, md5=md5)
            except (OSError, RuntimeError) as error:
                reason = str(error).splitlines()[0]
        raise StorageError(f"`{self.name}` could not be downloaded: {reason}.", "Check the network and the disk.")

    def _draw(self) -> tuple[np.ndarray, np.ndarray]:
        """Split of each image of the training part and of the test part (object arrays of name or None)."""
        n_train_part, n_test_part = self.official
        options = self.options
        holdout = options.holdout
        if holdout is None:
            holdout = min(n_train_part // 4, n_train_part - (options.train or 0))
        train = n_train_part - holdout if options.train is None else options.train
        test = n_test_part if options.test is None else options.test
        if min(train, holdout) < 0 or train + holdout > n_train_part or test > n_test_part:
            raise ConfigError(
                f"`{self.name}` has {n_train_part} records for train and holdout and {n_test_part} for test.",
                "Lower `train`, `holdout` or `test`.",
            )
        stream = np.random.RandomState(options.sample_seed)  # frozen stream (NEP 19)
        order, test_order = stream.permutation(n_train_part), stream.permutation(n_test_part)
        parts = np.full(n_train_part, None, object), np.full(n_test_part, None, object)
        parts[0][order[:train]] = "train"
        parts[0][order[train : train + holdout]] = "holdout"
        parts[1][test_order[:test]] = "test"
        return parts

    def count(self) -> int:
        return sum(int(np.not_equal(splits, None).sum()) for splits in self._draw())

    def records(self) -> Iterator[Record]:
        splits_of = dict(zip(("train", "test"), self._draw(), strict=True))
        people = np.random.RandomState(self.options.sample_seed + 1 & 0xFFFFFFFF)
        for part, splits in splits_of.items():
            contributors = (
                None if self.options.subjects is None else people.randint(self.options.subjects, size=len(splits))
            )
            for number, (image, label) in enumerate(self.images(part)):
                if splits[number] is None:
                    continue
                subject = None if contributors is None else f"contributor-{contributors[number]}"
                yield Record(f"{part}/{number}", subject, label, image, splits[number])
