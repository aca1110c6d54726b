"""The digits that come with scikit-learn: 1,797 images of 8x8, no download.

The set names no writers, so the 100 contributors are simulated: a fixed permutation of the images is cut into pieces
of 8 to 28, and each piece is one contributor with mixed classes. Values 0..16 become 0..240 (times 15, invertible).
Source: scikit-learn `load_digits`, from UCI "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998).
"""

from collections.abc import Iterator

import numpy as np

from tmu.config import Config
from tmu.data.info import SplitRule
from tmu.data.readers import Reader, reader
from tmu.data.records import Record

_IMAGES = 1797
_CONTRIBUTORS = 100
_PERMUTATION_SEED = 1797
_SCALE = 15


class DigitsOptions(Config):
    """No options."""


@reader("digits")
class Digits(Reader):
    """See the module."""

    simulated = True
    # few records: a tenth would be too few to learn a twin from, or to test on
    split_rule = SplitRule(holdout=0.25, test=0.25)
    Options = DigitsOptions

    def classes(self) -> list[str]:
        return [str(digit) for digit in range(10)]

    def shape(self) -> tuple[int, int, int]:
        return 1, 8, 8

    def count(self) -> int:
        return _IMAGES

    def records(self) -> Iterator[Record]:
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = (digits.images * _SCALE).astype(np.uint8)[:, None]  # (1797, 1, 8, 8)
        for number, contributor in enumerate(_contributors()):
            name = f"contributor-{contributor:03d}"
            yield Record(f"digit-{number:04d}", name, int(digits.target[number]), images[number])


def _contributors() -> np.ndarray:
    """The contributor (0..99) of each image (1797,)."""
    sizes = [8 + 8 * number % 21 for number in range(_CONTRIBUTORS - 1)]  # 8 and 21 are coprime: all of 8..28 occur
    sizes.append(_IMAGES - sum(sizes))
    # RandomState's stream is frozen (NEP 19): the same contributors under every numpy
    order = np.random.RandomState(_PERMUTATION_SEED).permutation(_IMAGES)
    contributor = np.empty(_IMAGES, np.int64)
    contributor[order] = np.repeat(np.arange(_CONTRIBUTORS), sizes)
    return contributor
