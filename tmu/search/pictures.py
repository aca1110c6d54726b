"""Pictures: equal pixels, and near copies by perceptual hashes.

A near copy agrees in three ways: 8x8 thumbnails (correlation), pHash and dHash (bits that differ). Measured on pictures
of 8 to 112 pixels (scikit-learn's digits, ORL faces): no pair of different people agrees in all three (353,800 pairs);
copies of half to four times the size and JPEG of quality 30 and more do, from 16 pixels on (`docs/erasure-search.md`).
"""

import hashlib
import io
from collections.abc import Sequence

import imagehash
import numpy as np
from PIL import Image

from tmu.search.needles import Needle, Needles, Picture, of_bytes
from tmu.search.report import By

CORRELATION, PHASH_BITS, DHASH_BITS = 0.98, 8, 14
_SIDE = 8
SMALLEST = 6
"""Pixels a side below which an array of numbers is not taken for a picture."""


def fingerprint(pixels: np.ndarray, who: int) -> Picture:
    """pixels: uint8 (H, W) or (H, W, C)."""
    pixels = plain(pixels)
    thumb = thumbnails(pixels[None])[0]
    if not thumb.any():
        return Picture(who=who, pixels=pixel_digest(pixels))
    phash, dhash = _hashes(pixels)
    found = tuple(round(float(value), 6) for value in thumb)
    return Picture(who=who, pixels=pixel_digest(pixels), thumb=found, phash=str(phash), dhash=str(dhash))


def needles_of(pixels: np.ndarray, who: int) -> Needles:
    """A picture's fingerprint, and its raw pixels as shards (C, H, W) and arrays (H, W, C) hold them."""
    given = np.ascontiguousarray(pixels)
    orders = {given.tobytes(), np.ascontiguousarray(plain(given)).tobytes()}
    if given.ndim == 3:
        orders.add(np.ascontiguousarray(np.moveaxis(given, -1, 0)).tobytes())
    found: list[Needle] = [each for order in sorted(orders) for each in of_bytes(By.PIXELS, order, who)]
    return Needles(forms=tuple(found), pictures=(fingerprint(given, who),))


def decoded(data: bytes) -> list[np.ndarray]:
    """The frames of an encoded picture, uint8 (H, W) or (H, W, 3). Raises OSError, ValueError for none."""
    frames = []
    with Image.open(io.BytesIO(data)) as image:
        for frame in range(min(getattr(image, "n_frames", 1), 64)):
            image.seek(frame)
            grey = image.mode in ("1", "L", "I", "I;16", "F")
            frames.append(np.asarray(image.convert("L" if grey else "RGB")))
    return frames


def plain(pixels: np.ndarray) -> np.ndarray:
    """(H, W) where all channels are equal, or there is one; else the first three, (H, W, 3)."""
    if pixels.ndim == 2:
        return pixels
    first = pixels[..., 0]
    if all(np.array_equal(first, pixels[..., channel]) for channel in range(1, min(3, pixels.shape[-1]))):
        return first
    return pixels[..., :3] if pixels.shape[-1] >= 3 else first


def pixel_digest(pixels: np.ndarray) -> str:
    """SHA-256 of size and pixels, of what `plain` gives."""
    return hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def thumbnails(pixels: np.ndarray) -> np.ndarray:
    """float32 (N, 64) of pixels (N, H, W[, C]): mean 0, length 1; zeros for a picture of one shade."""
    return np.stack([_thumbnail(each) for each in pixels]) if len(pixels) else np.zeros((0, _SIDE**2), np.float32)


class Gallery:
    """The pictures sought, and how they are recognised."""

    def __init__(self, sought: Sequence[Picture]) -> None:
        self._digests: dict[str, int] = {each.pixels: each.who for each in sought}
        self._near = [each for each in sought if each.thumb]
        self._thumbs = np.array([each.thumb for each in self._near], np.float32).reshape(len(self._near), _SIDE**2)
        self._known: dict[str, tuple[By, frozenset[int]] | None] = {}

    def compare(self, pixels: np.ndarray) -> tuple[By, frozenset[int]] | None:
        """By what a picture (H, W[, C]) uint8 is one of those sought, and which; None for another."""
        pixels = plain(pixels)
        digest = pixel_digest(pixels)
        if digest not in self._known:
            self._known[digest] = self._compare(pixels, digest)
        return self._known[digest]

    def _compare(self, pixels: np.ndarray, digest: str) -> tuple[By, frozenset[int]] | None:
        if digest in self._digests:
            return By.PIXELS, frozenset([self._digests[digest]])
        if not self._near:
            return None
        alike = np.flatnonzero(self._thumbs @ _thumbnail(pixels) >= CORRELATION)
        if not len(alike):
            return None
        phash, dhash = _hashes(pixels)
        found = [self._near[place] for place in alike if _agree(self._near[place], phash, dhash)]
        return (By.NEAR, frozenset(each.who for each in found)) if found else None


def _agree(picture: Picture, phash: imagehash.ImageHash, dhash: imagehash.ImageHash) -> bool:
    near = imagehash.hex_to_hash(picture.phash) - phash <= PHASH_BITS
    return bool(near and imagehash.hex_to_hash(picture.dhash) - dhash <= DHASH_BITS)


def _grey(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(plain(pixels))).convert("L")


def _thumbnail(pixels: np.ndarray) -> np.ndarray:
    image = _grey(pixels)
    way = Image.Resampling.BOX if min(image.size) >= _SIDE else Image.Resampling.BILINEAR
    values = np.asarray(image.resize((_SIDE, _SIDE), way), np.float32).ravel()
    values = values - values.mean()
    length = float(np.linalg.norm(values))
    return values / length if length > 1 else np.zeros_like(values)


def _hashes(pixels: np.ndarray) -> tuple[imagehash.ImageHash, imagehash.ImageHash]:
    image = _grey(pixels)
    return imagehash.phash(image), imagehash.dhash(image)
