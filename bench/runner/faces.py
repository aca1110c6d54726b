"""Real people: the ORL faces as an image folder, with the person as subject.

40 people, ten pictures each, 92 x 112 grey, scaled to 20 x 24, or as the suite says. A label is either `group`, which
is not the person: people in the order of a public keyed hash, dealt round into four groups of ten; or `person` (face
recognition). Of each person's pictures, in the order of such a hash, six are training records, one is hold-out, three
are test records, so that 120 records that no model learned bound false alarms at 1 %.
Source: AT&T Laboratories Cambridge / Olivetti Research Laboratory (Samaria and Harter 1994), free for research.
"""

import csv
import hmac
import io
import tarfile
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from tmu.config import Config
from tmu.data.keys import DEMO_SECRET
from tmu.errors import ConfigError, DataError
from tmu.files import write_atomic

DATASET, ARCHIVE = "orl-faces", "orl_faces.tar.xz"
SIZE = (20, 24)  # width, height
GROUPS = 4
_SPLITS = ("train",) * 6 + ("holdout",) + ("test",) * 3


class Options(Config):
    """What is recognised."""

    label: Literal["group", "person"] = "group"
    size: tuple[int, int] = Field(SIZE, description="width, height in pixels")


def reader(source: Path, target: Path, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The project's reader of such a folder and its options; pictures and table are written at the first call."""
    try:
        chosen = Options.model_validate(options)
    except ValidationError as error:
        raise ConfigError(
            f"The faces have no such option or value: {options}.", "`label`: group or person; `size`: width and height."
        ) from error
    pictures = target / ("pictures" if chosen.size == SIZE else "pictures-{}x{}".format(*chosen.size))
    table = target / f"{chosen.label}.csv"
    if not (table.is_file() and pictures.is_dir()):
        found = _unpacked(source / ARCHIVE, pictures, chosen.size)
        write_atomic(table, _table(found, chosen.label).encode())
    return "image-folder", {"root": str(pictures), "subjects": str(table)}


def _unpacked(archive: Path, target: Path, size: tuple[int, int]) -> list[Path]:
    """Names of the pictures, relative to `target`, where they are written. DataError where the archive is not that."""
    from PIL import Image

    found = []
    try:
        with tarfile.open(archive) as packed:
            for member in packed:
                path = Path(member.name)
                if not member.isfile() or path.suffix != ".pgm":
                    continue
                name = Path(path.parent.name) / f"{path.stem}.png"
                picture = Image.open(packed.extractfile(member)).resize(size, Image.Resampling.BILINEAR)
                sink = io.BytesIO()
                picture.save(sink, "PNG")
                write_atomic(target / name, sink.getvalue())
                found.append(name)
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{archive} cannot be read.", "Set TMU_SHARED_DATA to the folder that holds it.") from error
    return found


def _table(pictures: list[Path], label: str) -> str:
    """The CSV: path, label, subject, split."""
    people = sorted({path.parent.name for path in pictures}, key=_hash)
    sink = io.StringIO()
    lines = csv.writer(sink, lineterminator="\n")
    lines.writerow(["path", "label", "subject", "split"])
    for place, person in enumerate(people):
        own = sorted((path for path in pictures if path.parent.name == person), key=lambda path: _hash(path.as_posix()))
        if len(own) != len(_SPLITS):
            raise DataError(f"A person has {len(own)} pictures, not {len(_SPLITS)}.", "Use the published archive.")
        name = person if label == "person" else f"group {place % GROUPS + 1}"
        lines.writerows([path.as_posix(), name, person, split] for path, split in zip(own, _SPLITS, strict=True))
    return sink.getvalue()


def _hash(text: str) -> bytes:
    return hmac.digest(DEMO_SECRET, f"orl faces: {text}".encode(), "sha256")
