"""One picture file: what it holds, by its header; its pixels; and what is wrong with it.

Nothing is altered silently. A picture is refused, or converted and the conversion counted. A plain picture (8 bits,
one frame, upright, opaque) gives the pixels that its file holds.
"""

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tmu.data import jpeg

Fit = Literal["resize", "crop", "pad"]
Ground = Literal["white", "black", "grey"]
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
_ORIENTATION = 0x0112
_TURNED = range(5, 9)  # EXIF orientations that swap width and height
# Pillow's decoders raise all of these on bytes that are not what they claim
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, struct.error)
_GREY = ("1", "L")


class Fault(Exception):
    """What is wrong with a file. kind: `is empty`, for a count by kind; said: the same with figures."""

    def __init__(self, kind: str, hint: str, said: str | None = None) -> None:
        super().__init__(kind)
        self.kind, self.hint, self.said = kind, hint, said or kind


@dataclass(frozen=True)
class Header:
    """Width and height as the picture is to be seen, and whether it is grey."""

    size: tuple[int, int]
    grey: bool


@dataclass(frozen=True)
class Form:
    """What all pictures become. mode: L or RGB. size: (width, height). ground: colour below transparent parts and
    beside what is padded; None refuses transparency and pads in black. fit: how another size is made to fit (`resize`
    changes the proportions, `crop` cuts the longer sides, `pad` adds to the shorter ones); None refuses it.
    """

    mode: str
    size: tuple[int, int]
    ground: Ground | None = None
    fit: Fit | None = None


@dataclass(frozen=True, eq=False)
class Decoded:
    """pixels: uint8 (C, H, W). done: what was changed on the way. kept: the JPEG it came as, without metadata, where it
    decodes to just these pixels and is shorter.
    """

    pixels: np.ndarray
    done: list[str]
    kept: bytes | None = None


def look(source: Source) -> Header:
    """The header of a picture. Raises Fault."""
    with _opened(source) as image:
        _refuse_form(image)
        width, height = image.size
        if width != height and not _stands(image) and _orientation(image) in _TURNED:
            width, height = height, width
        return Header((width, height), image.mode in _GREY)


def decode(source: Source, form: Form) -> Decoded:
    """A picture in the form of all of them. Raises Fault."""
    with _opened(source) as image:
        _refuse_form(image)
        picture, done = image, []
        if _orientation(image) in range(2, 9):
            done.append("turned upright (EXIF)")
            picture = image if _stands(image) else ImageOps.exif_transpose(image)
        picture.load()
        if image.format == "MPO":
            done.append("first picture of several taken (MPO)")
        if _is_transparent(picture):
            if form.ground is None:
                raise Fault("has transparent parts", "Choose a background for them: `--option ground=white`.")
            below = Image.new("RGBA", picture.size, form.ground)
            picture = Image.alpha_composite(below, picture.convert("RGBA"))
            done.append(f"put on a {form.ground} background")
        done += _conversion(image.mode, form.mode)
        as_it_came = picture is image and image.mode in _KEPT.get(form.mode, ())
        picture = picture.convert(form.mode)
        if picture.size != form.size:
            as_it_came = False
            picture, how = _fitted(picture, form)
            done.append(how)
        pixels = np.array(picture, np.uint8)
        pixels = pixels[None] if form.mode == "L" else np.ascontiguousarray(pixels.transpose(2, 0, 1))
        kept = _kept(source, image, pixels) if as_it_came else None
    return Decoded(pixels, done, kept)


_KEPT = {"L": ("L",), "RGB": ("RGB", "L")}
"""By mode: modes of a JPEG whose decoded pixels need no choice of ours."""


def _kept(source: Source, image: Image.Image, pixels: np.ndarray) -> bytes | None:
    if image.format not in ("JPEG", "MPO"):
        return None
    found = jpeg.stripped(source if isinstance(source, bytes) else source.read_bytes())
    if found is None or len(found) >= pixels.size or not np.array_equal(jpeg.decoded(found, pixels.shape), pixels):
        return None
    return found


def _fitted(picture: Image.Image, form: Form) -> tuple[Image.Image, str]:
    if form.fit is None:
        raise Fault("is of another size", "Give all of them one: `--size`, and `--fit resize`, `crop` or `pad`.")
    smooth = Image.Resampling.BILINEAR
    if form.fit == "crop":
        return ImageOps.fit(picture, form.size, smooth), "resized, its longer sides cropped"
    if form.fit == "pad":
        return ImageOps.pad(picture, form.size, smooth, color=form.ground or "black"), "resized and padded"
    return picture.resize(form.size, smooth), "resized"


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
def _opened(source: Source) -> Iterator[Image.Image]:
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


def _refuse_form(image: Image.Image) -> None:
    # a 16-bit colour PNG calls itself RGB; only the decoder's arguments tell
    depths = " ".join(str(tile.args) for tile in image.tile)
    if image.mode.startswith(("I", "F")) or any(mark in depths for mark in (";16", ";12", ";32", "16B", "16L", "16N")):
        raise Fault("has more than 8 bits a channel", "Convert it to 8 bits.")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        said = f"has several frames ({frames})"
        raise Fault("has several frames", "Save the frame that is meant as a picture of its own.", said)


def _stands(image: Image.Image) -> bool:
    """Whether Pillow turns it by itself, and gives width and height as after that."""
    return image.format == "TIFF"


def _orientation(image: Image.Image) -> int:
    """1 where nothing readable is said of it."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return 1


def _is_transparent(image: Image.Image) -> bool:
    if not image.has_transparency_data:
        return False
    return image.convert("RGBA").getchannel("A").getextrema()[0] < 255


def _conversion(was: str, mode: str) -> list[str]:
    if was in ("P", "PA"):
        return ["palette resolved"]
    if was == "1":
        return ["1 bit made 8"]
    if was in ("CMYK", "YCbCr", "LAB", "HSV"):
        return [f"{was} made {'grey' if mode == 'L' else 'RGB'}"]
    grey = was in ("L", "LA", "La")
    if grey == (mode == "L"):
        return []
    return ["grey made colour"] if grey else ["colour made grey"]
