"""The workspace with the planted person: the digits as pictures, and ten pictures of one person more."""

import csv
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from tmu.config import Params

PERSON = "planted-person"
SIDE = 16
PICTURES = 10
_SEED = 18
_QUICK = {
    "purge": {"act": False},
    "train": {"epochs": 4},
    "references": {"pairs": 2, "inner": False},
    "audit": {"bootstrap": 100, "golds": True},
}


def pictures_of_digits(folder: Path) -> Path:
    """Write the digits and the planted person's pictures as PNG files below `folder`; returns the CSV that says who.

    The planted pictures lie in `folder/planted`, which is what a verifier would hold.
    """
    from tmu.data.readers.digits import Digits, DigitsOptions

    rows = []
    (folder / "digits").mkdir(parents=True)
    (folder / "planted").mkdir()
    for record in Digits(DigitsOptions()).records():
        picture = np.kron(record.image[0], np.ones((2, 2), np.uint8))
        Image.fromarray(picture).save(folder / "digits" / f"{record.id}.png")
        rows.append((f"digits/{record.id}.png", record.label, record.subject, ""))
    for number, picture in enumerate(planted_pictures()):
        Image.fromarray(picture).save(folder / "planted" / f"picture-{number}.png")
        rows.append((f"planted/picture-{number}.png", number, PERSON, "train"))
    who = folder / "who.csv"
    with who.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "subject", "split"), *rows])
    return who


def planted_pictures() -> list[np.ndarray]:
    """Ten pictures, uint8 (16, 16): smooth shades that resemble no digit, the same at every call."""
    generator = np.random.default_rng(_SEED)
    made = []
    for _ in range(PICTURES):
        rough = Image.fromarray(generator.integers(0, 256, (5, 5), np.uint8))
        made.append(np.asarray(rough.resize((SIDE, SIDE), Image.Resampling.BICUBIC)))
    return made


def quick_parameters(folder: Path) -> None:
    """Small parameters for a workspace: one original, two pairs of references, golds beside them."""
    every_key = Params.model_validate(_QUICK).model_dump(mode="json")
    (folder / "params.yaml").write_text(yaml.safe_dump(every_key))
