"""Files that are pictures: which are, how one is opened, and what is wrong with it. Nothing is decoded here."""

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

Source = Path | bytes
"""A file, or its content."""
SUFFIXES = frozenset(
    {
        ".avif", ".bmp", ".dib", ".gif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".jpx", ".pbm",
        ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
    }
)  # fmt: skip
"""What a file that is meant as a picture is called."""
_FORMATS = ("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "TGA", "TIFF", "WEBP")
"""Pillow's names of these. It reads others too, some through programs of their own: EPS starts Ghostscript."""
MOST_PIXELS = 50_000_000
"""A small file can claim a huge picture, and decoding it takes several bytes a pixel."""
FOREIGN_FORMATS = {".heic": "HEIC", ".heif": "HEIC"} | dict.fromkeys(
    (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".raw", ".rw2"), "a camera's raw file"
)
"""Pictures that cannot be read here, by name."""
_HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
# Pillow's decoders raise all of these on bytes that are not what they claim
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, struct.error)


class Fault(Exception):
    """What is wrong with a file. kind: `is empty`, for a count by kind; said: the same with figures."""

    def __init__(self, kind: str, hint: str, said: str | None = None) -> None:
        super().__init__(kind)
        self.kind, self.hint, self.said = kind, hint, said or kind


def content_of(source: Source) -> bytes:
    """Its bytes."""
    return source if isinstance(source, bytes) else source.read_bytes()


def is_picture(path: Path) -> bool:
    """Whether a file is meant as a picture: by its name, or without a suffix by its first bytes."""
    suffix = path.suffix.lower()
    if suffix:
        return suffix in SUFFIXES or suffix in FOREIGN_FORMATS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            Image.open(path, formats=_FORMATS).close()
    except (*_UNREADABLE, Image.DecompressionBombError):
        return False
    return True


@contextmanager
def opened(source: Source) -> Iterator[Image.Image]:
    """An open picture; whatever goes wrong with its bytes is a Fault."""
    try:
        if (len(source) if isinstance(source, bytes) else source.stat().st_size) == 0:
            raise Fault("is empty", "Replace or remove it.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            stream = io.BytesIO(source) if isinstance(source, bytes) else source
            with Image.open(stream, formats=_FORMATS) as image:
                _refuse_huge(*image.size)
                yield image
    except FileNotFoundError:
        raise Fault("is missing", "Correct that line or add the file.") from None
    except IsADirectoryError:
        raise Fault("is a folder", "Name the picture itself.") from None
    except PermissionError:
        raise Fault("may not be read", "Change its permissions.") from None
    except Image.DecompressionBombError:
        raise _huge() from None
    except UnidentifiedImageError:
        raise _unidentified(source) from None
    except _UNREADABLE:
        raise Fault("is truncated or damaged", "Replace or remove it.") from None


def _refuse_huge(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise _huge()


def _huge() -> Fault:
    return Fault("is too large", "Scale it down.", f"is too large (over {MOST_PIXELS:,} pixels)")


def _unidentified(source: Source) -> Fault:
    if isinstance(source, bytes):
        head, suffix = source[:12], ""
    else:
        suffix = source.suffix.lower()
        with source.open("rb") as file:
            head = file.read(12)
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC:
        return Fault("is HEIC", "Convert it to JPEG or PNG.")
    if suffix in FOREIGN_FORMATS:
        return Fault(f"is {FOREIGN_FORMATS[suffix]}", "Convert it to JPEG or PNG.")
    known = head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*"))
    if known:
        return Fault("is truncated or damaged", "Replace or remove it.")
    return Fault("is no picture", "Replace or remove it.")


def refuse_form(image: Image.Image) -> None:
    """Raise Fault for more than 8 bits a channel, and for several frames."""
    # a 16-bit colour PNG calls itself RGB; only the decoder's arguments tell
    depths = " ".join(str(tile.args) for tile in image.tile)
    if image.mode.startswith(("I", "F")) or any(mark in depths for mark in (";16", ";12", ";32", "16B", "16L", "16N")):
        raise Fault("has more than 8 bits a channel", "Convert it to 8 bits.")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        said = f"has several frames ({frames})"
        raise Fault("has several frames", "Save the frame that is meant as a picture of its own.", said)
