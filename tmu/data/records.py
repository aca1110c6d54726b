"""What a reader yields: one image with its label and the person it is about."""

from dataclasses import dataclass

import numpy as np

SPLITS = ("train", "holdout", "test")


@dataclass(frozen=True, eq=False)
class Record:
    """One record, with raw ids: it lives in memory during an import and is never written as it is.

    `subject` None: the record is a subject of its own. `image` is uint8 (C, H, W). `split` None: the key decides.
    `also`: further people in the same picture; whoever of them is deleted, the record goes. `kept`: a JPEG without
    metadata (`tmu/data/jpeg.py`) that decodes to `image` and is stored in its place where it is shorter.
    """

    id: str
    subject: str | None
    label: int
    image: np.ndarray
    split: str | None = None
    also: tuple[str, ...] = ()
    kept: bytes | None = None
