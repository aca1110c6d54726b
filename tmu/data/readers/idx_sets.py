"""MNIST, Fashion-MNIST, KMNIST: 28x28 grey images in IDX files.

Read from `root` or `root/<Class>/raw`, gzipped (MD5 checked) or unzipped (header and length checked).
"""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tmu.data.readers import reader
from tmu.data.readers.torchvision_sets import HINT, PublicSet
from tmu.errors import DataError

_CHUNK = 1024  # images decoded at a time


class IdxSet(PublicSet):
    """MNIST and the sets in its form: gzipped IDX files, 28x28 grey."""

    official = (60_000, 10_000)

    def classes(self) -> list[str]:
        return list(self.source().classes)

    def shape(self) -> tuple[int, int, int]:
        return 1, 28, 28

    def images(self, part: str) -> Iterator[tuple[np.ndarray, int]]:
        stem = "train" if part == "train" else "t10k"
        size = self.official[0 if part == "train" else 1]
        labels = b"".join(self._read(f"{stem}-labels-idx1-ubyte", (size,)))
        number = 0
        for block in self._read(f"{stem}-images-idx3-ubyte", (size, 28, 28)):
            for image in np.frombuffer(block, np.uint8).reshape(-1, 1, 28, 28):
                yield image, labels[number]
                number += 1

    def _read(self, name: str, dimensions: tuple[int, ...]) -> Iterator[bytes]:
        """The payload of an IDX file in blocks of whole items; `DataError` unless header and length are as expected."""
        path = self._find(name)
        opener: Any = gzip.open if path.suffix == ".gz" else open
        header = bytes([0, 0, 8, len(dimensions)]) + b"".join(size.to_bytes(4, "big") for size in dimensions)
        block = _CHUNK * int(np.prod(dimensions[1:]))
        rest = int(np.prod(dimensions))
        try:
            with opener(path, "rb") as file:
                whole = file.read(len(header)) == header
                while whole and rest:
                    content = file.read(min(block, rest))
                    whole = len(content) == min(block, rest)
                    rest -= len(content)
                    if whole:
                        yield content
        except (OSError, EOFError) as error:
            raise DataError(f"{path} cannot be read.", "Download the dataset again.") from error
        if not whole:
            raise DataError(f"{path} is truncated or of another kind.", "Download the dataset again.")

    def _find(self, name: str) -> Path:
        folders = (self.options.root, self.options.root / self.torchvision_class / "raw")
        for path in (folder / file for folder in folders for file in (f"{name}.gz", name)):
            if path.is_file():
                return self._checked(path)
        if not self.options.download:
            raise DataError(f"`{self.name}`: no {name} under {self.options.root}.", HINT)
        source = self.source()
        urls = [f"{mirror}{name}.gz" for mirror in source.mirrors]
        self.download(urls, folders[1], f"{name}.gz", dict(source.resources)[f"{name}.gz"])
        return folders[1] / f"{name}.gz"

    def _checked(self, path: Path) -> Path:
        from torchvision.datasets.utils import check_integrity

        # MD5s are published for the zipped files only
        if path.suffix == ".gz" and not check_integrity(path, dict(self.source().resources)[path.name]):
            raise DataError(f"{path} is not the published file (MD5).", "Download the dataset again.")
        return path


@reader("mnist")
class Mnist(IdxSet):
    """MNIST."""

    torchvision_class = "MNIST"


@reader("fashion-mnist")
class FashionMnist(IdxSet):
    """Fashion-MNIST."""

    torchvision_class = "FashionMNIST"


@reader("kmnist")
class Kmnist(IdxSet):
    """KMNIST."""

    torchvision_class = "KMNIST"
