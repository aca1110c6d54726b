"""What a picture looks like, in 512 bits: near copies (encoded again, resized) differ in few of them.

A look is the perceptual hash (by cosine transform) and the difference hash of `imagehash`, 256 bits each; the size of
the picture does not matter. Pictures of one data set may be alike, too, so that the distance that counts as near is
taken from the data (`near_bound`).
"""

from collections.abc import Iterable

import imagehash
import numpy as np
from PIL import Image

SIDE = 16
BITS = 2 * SIDE * SIDE
_FARTHEST, _SHARE, _RARE = 96, 0.8, 0.01


def look(image: np.ndarray) -> np.ndarray:
    """Bits of a picture: uint8 (C, H, W), one or three channels → bool (512,)."""
    picture = Image.fromarray(image[0]) if len(image) == 1 else Image.fromarray(image[:3].transpose(1, 2, 0))
    parts = (imagehash.phash(picture, hash_size=SIDE), imagehash.dhash(picture, hash_size=SIDE))
    return np.concatenate([part.hash.ravel() for part in parts]).astype(bool)


def looks(images: Iterable[np.ndarray]) -> np.ndarray:
    """The looks of several pictures: bool (N, 512)."""
    return np.stack([np.empty(BITS, bool), *map(look, images)])[1:]


def distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """In how many bits looks differ: bool (N, 512) and (M, 512) → int64 (N, M)."""
    left, right = some.astype(np.int32), others.astype(np.int32)
    return (left.sum(1)[:, None] + right.sum(1) - 2 * left @ right.T).astype(np.int64)


def near_bound(staying: np.ndarray) -> int:
    """The largest distance at which two pictures count as copies of each other, from looks (N, 512) of different ones.

    Four fifths of the first centile of the distances to the nearest other picture, and 96 at most: fewer than one
    picture in a hundred has another one within it. Pictures that differ in no bit do not count; with fewer than two
    different ones it is 0.
    """
    apart = distances(staying, staying)
    apart[apart == 0] = BITS
    nearest = apart.min(1, initial=BITS)
    known = nearest[nearest < BITS]
    return min(_FARTHEST, int(_SHARE * np.quantile(known, _RARE))) if len(known) else 0
