"""Odd pictures: refused by kind, all in one run, or converted and counted; plain ones give the pixels of their file."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tmu.data.readers import get_reader, picture_files
from tmu.data.readers.picture_files import Fault
from tmu.data.readers.pictures import Form, decode, look
from tmu.errors import DataError

NOISE = np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8)  # 6 wide, 8 high
GREY = NOISE[:, :, 0]


def saved(path, image, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **how)
    return path


def pixels(path, mode="RGB", size=(6, 8), ground=None, resize=False):
    found = decode(path, Form(mode, size, ground, "resize" if resize else None))
    return found.pixels, found.done


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("form", ["png", "bmp", "tiff", "ppm", "webp", "gif"])
def test_plain_pictures_give_the_pixels_of_their_file(tmp_path, form):
    how = {"lossless": True} if form == "webp" else {}
    source = Image.fromarray(NOISE if form != "gif" else GREY)
    path = saved(tmp_path / f"a.{form}", source, **how)
    found, _ = pixels(path, "RGB" if form != "gif" else "L")
    expected = Image.open(path).convert("RGB" if form != "gif" else "L")
    assert np.array_equal(found, np.atleast_3d(np.array(expected)).transpose(2, 0, 1))


def test_a_jpeg_is_decoded_as_ever(tmp_path):
    path = saved(tmp_path / "a.jpg", Image.fromarray(NOISE), quality=90)
    found, done = pixels(path)
    assert np.array_equal(found.transpose(1, 2, 0), np.array(Image.open(path).convert("RGB")))
    assert done == []


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["png", "jpg", "tiff"])
def test_a_picture_stands_as_it_was_taken(tmp_path, orientation, form):
    """Against the definition of the eight orientations, written down by hand."""
    undone = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, 1),
    }[orientation]
    how = {"quality": 100, "subsampling": 0} if form == "jpg" else {}
    path = saved(tmp_path / f"a.{form}", Image.fromarray(NOISE), exif=turned(orientation), **how)
    stored = np.array(Image.open(path).convert("RGB")) if form == "jpg" else NOISE
    size = (6, 8) if orientation < 5 else (8, 6)
    assert look(path).size == size
    found, done = pixels(path, size=size)
    assert np.array_equal(found.transpose(1, 2, 0), undone(stored))
    assert done == ([] if orientation == 1 else ["turned upright (EXIF)"])


def test_transparent_parts_are_refused_or_put_on_a_ground(tmp_path):
    rgba = np.dstack([NOISE, np.full((8, 6), 255, np.uint8)])
    opaque = saved(tmp_path / "opaque.png", Image.fromarray(rgba))
    assert np.array_equal(pixels(opaque)[0].transpose(1, 2, 0), NOISE)  # nothing is hidden: the pixels as they are
    rgba[0, 0] = (200, 0, 0, 0)
    hidden = saved(tmp_path / "hidden.png", Image.fromarray(rgba))
    with pytest.raises(Fault, match="transparent"):
        pixels(hidden)
    for ground, value in (("white", 255), ("black", 0), ("grey", 128)):
        found, done = pixels(hidden, ground=ground)
        assert found[:, 0, 0].tolist() == [value] * 3
        assert np.array_equal(found.transpose(1, 2, 0)[1:], NOISE[1:])
        assert done == [f"put on a {ground} background"]
    palette = Image.fromarray(GREY).convert("P")
    with pytest.raises(Fault, match="transparent"):
        pixels(saved(tmp_path / "palette.png", palette, transparency=int(np.array(palette)[0, 0])))


def test_palettes_and_depths_are_converted_and_counted(tmp_path):
    palette = Image.fromarray(NOISE).quantize(16)
    found, done = pixels(saved(tmp_path / "p.png", palette))
    assert np.array_equal(found.transpose(1, 2, 0), np.array(palette.convert("RGB"))) and done == ["palette resolved"]
    found, done = pixels(saved(tmp_path / "1.png", Image.fromarray(GREY > 99)), "L")
    assert set(np.unique(found)) == {0, 255} and done == ["1 bit made 8"]
    assert pixels(saved(tmp_path / "c.tiff", Image.fromarray(NOISE).convert("CMYK")))[1] == ["CMYK made RGB"]
    assert pixels(saved(tmp_path / "n.png", Image.fromarray(NOISE)), "L")[1] == ["colour made grey"]
    assert pixels(tmp_path / "n.png", size=(3, 3), resize=True)[1] == ["resized"]


def deep_png():
    """A 16-bit colour PNG, of which Pillow silently drops the lower half."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + b"\x12\x34" * 18 for _ in range(8))
    header = struct.pack(">IIBBBBB", 6, 8, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def frames(form, **how):
    out = io.BytesIO()
    first, *rest = (Image.fromarray(NOISE + number) for number in range(3))
    first.save(out, form, save_all=True, append_images=rest, **how)
    return out.getvalue()


def encoded(image, form):
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()


BAD = {
    "empty.png": (b"", "empty"),
    "text.jpg": (b"this is a letter", "no picture"),
    "cut.png": (encoded(Image.fromarray(NOISE), "PNG")[:60], "truncated or damaged"),
    "cut.jpg": (encoded(Image.fromarray(NOISE), "JPEG")[:-40], "truncated or damaged"),
    "deep.png": (deep_png(), "more than 8 bits a channel"),
    "deep.tiff": (encoded(Image.fromarray(GREY.astype(np.uint16) * 200), "TIFF"), "more than 8 bits a channel"),
    "float.tiff": (encoded(Image.fromarray(GREY.astype(np.float32)), "TIFF"), "more than 8 bits a channel"),
    "moving.gif": (frames("GIF"), "several frames"),
    "moving.png": (frames("PNG"), "several frames"),
    "pages.tiff": (frames("TIFF"), "several frames"),
    "phone.heic": (b"\0\0\0\x18ftypheic" + bytes(12), "HEIC"),
    "renamed.jpg": (b"\0\0\0\x18ftypmif1" + bytes(12), "HEIC"),
    "camera.cr2": (b"camera", "a camera's raw file"),
    "vast.png": (encoded(Image.new("1", (20_000, 9_000)), "PNG"), "too large"),
    "small.png": (encoded(Image.fromarray(GREY[:4]), "PNG"), "another size"),
}


@pytest.mark.filterwarnings("error")
def test_all_bad_files_are_listed_in_one_run_by_name_and_kind(tmp_path):
    root = tmp_path / "photos"
    for number in range(4):
        saved(root / "cat" / f"{number}.png", Image.fromarray(GREY))
    (root / "dog").mkdir()
    for name, (content, _) in BAD.items():
        (root / "dog" / name).write_bytes(content)
    reader = get_reader("image-folder", {"root": root})
    assert reader.shape()[1:] == (8, 6)  # that of the good ones
    with pytest.raises(DataError) as caught:
        list(reader)
    said = str(caught.value)
    assert said.startswith(f"{len(BAD)} of {len(BAD) + 4} pictures are refused: ")
    assert "3 x more than 8 bits a channel" in said and "3 x several frames" in said
    assert not any(name in said for name in BAD)
    assert len(caught.value.details) == len(BAD)
    for name, (_, kind) in BAD.items():
        (line,) = (line for line in caught.value.details if f"dog/{name}: " in line)
        assert kind in line.partition(": ")[2] or (kind == "another size" and "is 6x4 pixels, most others 6x8" in line)


def test_conversions_are_counted_over_the_import(tmp_path):
    for number in range(3):
        saved(tmp_path / "cat" / f"{number}.png", Image.fromarray(NOISE).quantize(8))
        saved(tmp_path / "dog" / f"{number}.jpg", Image.fromarray(NOISE[:6]), exif=turned(6))
    reader = get_reader("image-folder", {"root": tmp_path, "size": 5})
    list(reader)
    assert reader.converted() == {"palette resolved": 3, "turned upright (EXIF)": 3, "resized": 6}


def test_odd_exif_is_no_fault(tmp_path):
    path = saved(tmp_path / "a.jpg", Image.fromarray(NOISE), exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert pixels(path)[0].shape == (3, 8, 6)


def test_a_picture_starts_no_other_program(tmp_path, monkeypatch):
    """EPS is drawn by Ghostscript, which a file of any name could start."""
    fake, mark = tmp_path / "bin" / "gs", tmp_path / "started"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\ntouch {mark}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent), prepend=":")
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n")
    for read in (lambda: look(path), lambda: decode(path, Form("L", (8, 8), fit="resize"))):
        with pytest.raises(Fault, match="no picture"):
            read()
    nameless = path.rename(tmp_path / "a")
    assert not picture_files.is_picture(nameless)
    assert not mark.exists()


def test_every_format_of_ours_is_known_to_pillow():
    Image.init()
    assert set(picture_files._FORMATS) <= set(Image.OPEN)


def test_a_small_file_that_claims_a_huge_picture_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "a.png"
    Image.new("1", (8_000, 7_000)).save(path)
    assert path.stat().st_size < 100_000
    with pytest.raises(Fault) as refused:
        look(path)
    assert refused.value.said == "is too large (over 50,000,000 pixels)"


def halves():
    """12 wide, 6 high: black left of the middle, white right of it."""
    return Image.fromarray(np.repeat(np.repeat([[0, 255]], 6, 0), 6, 1).astype(np.uint8))


@pytest.mark.parametrize(
    ("fit", "ground", "row", "column"),
    [
        ("resize", None, [0, 0, 255, 255], [0, 0, 0, 0]),
        ("crop", None, [0, 0, 255, 255], [0, 0, 0, 0]),
        ("pad", "white", [0, 0, 255, 255], [255, 0, 0, 255]),
        ("pad", None, [0, 0, 255, 255], [0, 0, 0, 0]),
    ],
)
def test_another_size_is_made_to_fit(tmp_path, fit, ground, row, column):
    path = saved(tmp_path / "a.png", halves())
    found = decode(path, Form("L", (4, 4), ground, fit)).pixels[0]
    assert found.shape == (4, 4)
    assert (np.abs(found[1].astype(int) - row) < 70).all() and (np.abs(found[:, 0].astype(int) - column) < 70).all()


def test_cropping_and_padding_keep_proportions(tmp_path):
    """A disc stays one: as wide as it is high, cut or with bars."""
    y, x = np.mgrid[-20:20, -40:40]
    disc = Image.fromarray(np.where(x**2 + y**2 < 15**2, 255, 0).astype(np.uint8))
    path = saved(tmp_path / "disc.png", disc)
    extents = {}
    for fit in ("resize", "crop", "pad"):
        white = decode(path, Form("L", (40, 40), None, fit)).pixels[0] > 127
        extents[fit] = (int(white.any(0).sum()), int(white.any(1).sum()))
    assert extents["resize"][0] < 0.6 * extents["resize"][1]
    assert abs(extents["crop"][0] - extents["crop"][1]) <= 1 and extents["crop"][0] >= 28
    assert abs(extents["pad"][0] - extents["pad"][1]) <= 1 and extents["pad"][0] <= 16


def test_which_jpegs_are_kept(tmp_path):
    colour = Image.fromarray(NOISE).resize((40, 40), Image.Resampling.BICUBIC)
    grey = colour.convert("L")
    whole = Form("RGB", (40, 40), "white", "resize")
    cases = {
        "colour": (colour, whole, {}, True, []),
        "grey in a colour set": (grey, whole, {}, True, ["grey made colour"]),
        "grey": (grey, Form("L", (40, 40)), {}, True, []),
        "colour in a grey set": (colour, Form("L", (40, 40)), {}, False, ["colour made grey"]),
        "turned": (colour, whole, {"exif": turned(6)}, False, ["turned upright (EXIF)"]),
        "CMYK": (colour.convert("CMYK"), whole, {}, False, ["CMYK made RGB"]),
        "of another size": (colour.resize((50, 50)), whole, {}, False, ["resized"]),
    }
    for name, (image, form, how, kept, said) in cases.items():
        found = decode(saved(tmp_path / f"{name}.jpg", image, **how), form)
        assert ((found.kept is not None), found.done) == (kept, said), name
    assert decode(saved(tmp_path / "a.png", colour), whole).kept is None
