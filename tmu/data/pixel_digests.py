"""A digest of each picture's pixels: what tells equal pictures, however they are encoded."""

import hashlib

import numpy as np

from tmu.data.keys import KEY_BYTES


def digests(images: np.ndarray) -> list[bytes]:
    """BLAKE2b (16 bytes) of each image's bytes; images (N, ...) uint8."""
    return [hashlib.blake2b(image.tobytes(), digest_size=KEY_BYTES).digest() for image in images]
