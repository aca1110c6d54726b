"""JPEG photographs as cameras and programs write them: tiny, smooth, with words about people in every marker."""

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

WORDS = (b"Anna Roe", b"52.5163", b"Studio Roe", b"GPSLatitude-like text", b"after the picture")
"""What must not be kept."""


def scene(seed: int, size: tuple[int, int] = (32, 32)) -> Image.Image:
    """A smooth colour picture of (width, height), of which a JPEG is shorter than its pixels."""
    rough = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(rough).resize(size, Image.Resampling.BICUBIC)


def photograph(image: Image.Image, **how: object) -> bytes:
    """A JPEG with EXIF (name, place, thumbnail), XMP, IPTC, a profile, a comment, and something after its end."""
    exif = Image.Exif()
    exif[0x013B] = "Anna Roe"  # artist
    exif.get_ifd(0x8825)[0x0002] = (52.5163, 0.0, 0.0)  # GPS latitude
    out = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(out, "JPEG", exif=exif, icc_profile=profile, comment=b"Studio Roe", **how)
    jpeg = out.getvalue()
    xmp = _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x>Anna Roe, 52.5163</x>")
    iptc = _segment(0xED, b"Photoshop 3.0\x008BIM Anna Roe")
    text = _segment(0xE5, b"GPSLatitude-like text")
    return jpeg[:2] + xmp + iptc + text + jpeg[2:] + b"after the picture: Anna Roe"


def photographs(root: Path, people: int = 4, each: int = 3) -> Path:
    """A folder of classes `cat` and `dog`, and beside it `people.csv`: `people` persons, each with some pictures."""
    lines = ["path,label,subject,split"]
    for person in range(people):
        for number in range(each):
            label = ("cat", "dog")[(person + number) % 2]
            path = root / label / f"{person}-{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(photograph(scene(100 * person + number), quality=80))
            lines.append(f"{label}/{path.name},{label},person-{person},{('train', 'holdout', 'test')[number % 3]}")
    for label in ("cat", "dog"):  # each class has training records, whoever goes
        path = root / label / "nobody.jpg"
        path.write_bytes(photograph(scene(7_000 + ord(label[0])), quality=80))
        lines.append(f"{label}/nobody.jpg,{label},,train")
    csv = root.parent / "people.csv"
    csv.write_text("\n".join(lines) + "\n")
    return csv


def _segment(kind: int, content: bytes) -> bytes:
    return bytes((0xFF, kind)) + struct.pack(">H", len(content) + 2) + content
