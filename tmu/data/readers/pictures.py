"""One picture: what it holds, by its header; and its pixels, in the form of all others.

Nothing is altered silently. A picture is refused, or converted and the conversion counted. A plain picture (8 bits,
one frame, upright, opaque) gives the pixels that its file holds.
"""

import struct
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from tmu.data import jpeg
from tmu.data.readers.picture_files import Fault, Source, content_of, opened, refuse_form

Fit = Literal["resize", "crop", "pad"]
Ground = Literal["white", "black", "grey"]
_ORIENTATION = 0x0112
_TURNED = range(5, 9)  # EXIF orientations that swap width and height
_GREY = ("1", "L")


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
    with opened(source) as image:
        refuse_form(image)
        width, height = image.size
        if width != height and not _stands(image) and _orientation(image) in _TURNED:
            width, height = height, width
        return Header((width, height), image.mode in _GREY)


def decode(source: Source, form: Form) -> Decoded:
    """A picture in the form of all of them. Raises Fault."""
    with opened(source) as image:
        refuse_form(image)
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
    found = jpeg.stripped(content_of(source))
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
