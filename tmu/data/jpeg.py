"""JPEG as a store keeps it: the bytes of the file without any word about who took it, where and when.

Only what decoding needs stays: tables, frame, scans, and the markers that name the colour model, written anew (ITU-T
T.81 B.1, JFIF 1.02, Adobe's APP14). EXIF with place and thumbnail, XMP, IPTC, profiles, comments and whatever follows
the picture go. The scans are not touched, so that nothing is lost. Pixels depend on the decoder (`decoder`).
"""

import io
import re

import numpy as np
import PIL
from PIL import Image, features

_SOI, _JFIF, _ADOBE = b"\xff\xd8", b"JFIF\0", b"Adobe"
_APP0, _APP14, _DQT, _DHT, _DRI, _SOS, _EOI = 0xE0, 0xEE, 0xDB, 0xC4, 0xDD, 0xDA, 0xD9
_FRAMES = (0xC0, 0xC1, 0xC2)
"""Baseline, extended and progressive: what libjpeg-turbo decodes everywhere."""
_DROPPED = (*range(0xE0, 0xF0), 0xFE)
_PLAIN_JFIF = b"\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
_PLAIN_ADOBE = b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0"
_SCAN_ENDS = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")


def stripped(data: bytes) -> bytes | None:
    """The first picture of a JPEG file without metadata; None for what is no whole JPEG of a common kind."""
    if not data.startswith(_SOI):
        return None
    body, colour, at = bytearray(), dict[int, bytes](), len(_SOI)
    while (start := _marker(data, at)) is not None:
        kind, at = data[start], start + 1
        if kind == _EOI:
            return b"".join((_SOI, colour.get(_APP0, b""), colour.get(_APP14, b""), body, b"\xff\xd9"))
        size = int.from_bytes(data[at : at + 2], "big")
        segment, at = data[at : at + size], at + size
        if size < 2 or len(segment) < size:
            return None
        if kind in _DROPPED:
            colour |= _said_of_colour(kind, segment)
            continue
        if kind not in (_DQT, _DHT, _DRI, _SOS, *_FRAMES):
            return None
        body += bytes((0xFF, kind)) + segment
        if kind == _SOS:
            end = _SCAN_ENDS.search(data, at)
            if end is None:
                return None
            body += data[at : end.start()]
            at = end.start()
    return None


def decoded(data: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """The pixels of a kept JPEG: uint8 (C, H, W). Raises OSError, ValueError where it is damaged or of another size."""
    channels, height, width = shape
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        if image.size != (width, height):
            raise ValueError(f"a picture of {image.size[0]}x{image.size[1]} pixels")
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def decoder() -> str:
    """What decodes here, by name and version: other versions may give other pixels."""
    return f"Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}"


def _marker(data: bytes, at: int) -> int | None:
    """Where the kind of the marker stands that begins at `at`; None where none does."""
    if data[at : at + 1] != b"\xff":
        return None
    while data[at : at + 1] == b"\xff":
        at += 1
    return at if at < len(data) and data[at] else None


def _said_of_colour(kind: int, segment: bytes) -> dict[int, bytes]:
    """A dropped segment's word about colour, as a segment that says nothing else."""
    content = segment[2:]
    if kind == _APP0 and content.startswith(_JFIF):
        return {kind: _PLAIN_JFIF}
    if kind == _APP14 and content.startswith(_ADOBE) and len(content) >= 12:
        return {kind: _PLAIN_ADOBE + content[11:12]}
    return {}
