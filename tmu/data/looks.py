"""What a picture looks like, in 512 bits: near copies (encoded again, resized) differ in few of them.

A look is the perceptual hash (by cosine transform) and the difference hash of `imagehash`, 256 bits each; the size of
the picture does not matter. Pictures of one data set may be alike, too, so that the distance that counts as near is
taken from the data (`near_bound`).
"""

from collections.abc import Iterable
from functools import cache

import numpy as np
from PIL import Image

SIDE = 16
BITS = 2 * SIDE * SIDE
_FARTHEST, _SHARE, _RARE = 96, 0.8, 0.01
_FINE = 4 * SIDE
_BLOCK = 256


def look(image: np.ndarray) -> np.ndarray:
    """Bits of a picture: uint8 (C, H, W), one or three channels → bool (512,)."""
    return looks([image])[0]


def looks(images: Iterable[np.ndarray]) -> np.ndarray:
    """The looks of several pictures: bool (N, 512).

    The hashes of `imagehash` (`phash`, `dhash`, hash_size 16), some hundred at a time: one by one it takes five times
    as long.
    """
    found, block = [np.empty((0, BITS), bool)], list[np.ndarray]()
    for image in images:
        block.append(image)
        if len(block) == _BLOCK:
            found.append(_block(block))
            block = []
    return np.concatenate([*found, _block(block)]) if block else np.concatenate(found)


def _block(images: list[np.ndarray]) -> np.ndarray:
    grey = [Image.fromarray(each[0] if len(each) == 1 else each[:3].transpose(1, 2, 0)).convert("L") for each in images]
    fine = _resized(grey, _FINE, _FINE).astype(np.float64)
    low = np.round(_cosines() @ fine @ _cosines().T, 6).reshape(len(images), -1)  # flat pictures: zeros, not noise
    steps = _resized(grey, SIDE + 1, SIDE)
    rising = (steps[:, :, 1:] > steps[:, :, :-1]).reshape(len(images), -1)
    return np.concatenate([low > np.median(low, axis=1, keepdims=True), rising], axis=1)


def _resized(images: list[Image.Image], width: int, height: int) -> np.ndarray:
    return np.stack([np.asarray(each.resize((width, height), Image.Resampling.LANCZOS)) for each in images])


@cache
def _cosines() -> np.ndarray:
    """The first rows (16, 64) of the cosine transform, type II."""
    places = np.arange(_FINE) + 0.5
    return 2 * np.cos(np.pi / _FINE * np.arange(SIDE)[:, None] * places)


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
