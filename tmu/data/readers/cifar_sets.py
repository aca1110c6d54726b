"""CIFAR-10 and CIFAR-100: 32x32 RGB batches, MD5 checked before they are opened, and never by an open pickle loader."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from tmu.data.readers import reader
from tmu.data.readers.pickled_batches import read_batch
from tmu.data.readers.torchvision_sets import HINT, PublicSet
from tmu.errors import DataError


class CifarSet(PublicSet):
    """What both share."""

    official = (50_000, 10_000)
    label_field: ClassVar[str]

    def classes(self) -> list[str]:
        source = self.source()
        return list(read_batch(self._checked(source.meta["filename"], source.meta["md5"]))[source.meta["key"]])

    def shape(self) -> tuple[int, int, int]:
        return 3, 32, 32

    def images(self, part: str) -> Iterator[tuple[np.ndarray, int]]:
        source = self.source()
        for filename, md5 in source.train_list if part == "train" else source.test_list:
            batch = read_batch(self._checked(filename, md5))
            yield from zip(batch["data"].reshape(-1, 3, 32, 32), batch[self.label_field], strict=True)

    def _checked(self, filename: str, md5: str) -> Path:
        from torchvision.datasets.utils import check_integrity

        source, root = self.source(), self.options.root
        path = root / source.base_folder / filename
        if not path.is_file() and self.options.download:
            self.download([source.url], root, source.filename, source.tgz_md5, unpack=True)
        if not path.is_file():
            raise DataError(f"`{self.name}`: there is no {path}.", HINT)
        if not check_integrity(path, md5):
            raise DataError(f"{path} is not the published file (MD5).", "Download the dataset again.")
        return path


@reader("cifar10")
class Cifar10(CifarSet):
    """CIFAR-10."""

    torchvision_class = "CIFAR10"
    label_field = "labels"


@reader("cifar100")
class Cifar100(CifarSet):
    """CIFAR-100, its fine classes."""

    torchvision_class = "CIFAR100"
    label_field = "fine_labels"
