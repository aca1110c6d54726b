"""Pictures: as files, in text, and in the middle of other bytes."""

import base64
import binascii
import re
from collections.abc import Iterator

import numpy as np

from tmu.search import pictures
from tmu.search.containers.part import Around, Part
from tmu.search.scan import Buffer

_URI = re.compile(rb"data:image/[a-z+.]+;base64,([A-Za-z0-9+/=\s]{40,})")
_CARVED = {b"\x89PNG\r\n\x1a\n": 1 << 26, b"\xff\xd8\xff": 1 << 26}
_MOST_CARVED = 100_000


def picture_parts(data: bytes, around: Around) -> Iterator[Part]:
    """Each frame of a picture."""
    for frame in pictures.decoded(data):
        yield Part(inside="picture", images=frame[None])


def pictures_in(data: Buffer) -> Iterator[Part]:
    """Pictures in the middle of other bytes: in text as base64, in databases and archives as they are."""
    for match in _URI.finditer(data):
        try:
            content = base64.b64decode(match[1])
        except (binascii.Error, ValueError):
            continue
        if not content.startswith(b"<"):
            yield Part(inside="picture in text", data=content)
    for mark, most in _CARVED.items():
        for count, match in enumerate(re.finditer(re.escape(mark), data)):
            if count >= _MOST_CARVED:
                yield Part(inside="", unread="it holds more pictures than are looked at")
                break
            frames = _carved(bytes(data[match.start() : match.start() + most]))
            yield from (Part(inside="picture in bytes", images=frame[None]) for frame in frames)


def _carved(data: bytes) -> list[np.ndarray]:
    """A picture that begins here; none where the mark was chance."""
    try:
        return pictures.decoded(data)
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError):
        return []
