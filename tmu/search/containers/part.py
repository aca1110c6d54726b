"""What a container gives: its parts, one after the other."""

from dataclasses import dataclass

import numpy as np

MOST_BYTES = 4 << 30
"""A part that unpacks to more is not looked at, and the report says so."""


@dataclass(frozen=True)
class Part:
    """One part of a container. inside: its name there. data: bytes to look at; images: (N, H, W[, C]) uint8 to compare.

    mark: the part is a list of what was erased. unread: why it could not be read. raw: its bytes lie as they are in the
    container, whose own scan found them.
    """

    inside: str
    data: bytes | None = None
    images: np.ndarray | None = None
    mark: bool = False
    unread: str = ""
    raw: bool = False


@dataclass(frozen=True)
class Around:
    """What is known of a container's surroundings. shape: (C, H, W) of the images in shards, where it is known."""

    shape: tuple[int, int, int] | None = None
