"""Pictures that a store holds more than once: counts of equal ones, and pairs of near copies."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tmu.data.keys import to_hex
from tmu.data.near import BOUND, near_pairs
from tmu.data.records import SPLITS

_NAMED = 100
"""Pairs of near copies that are named."""


@dataclass(frozen=True, eq=False)
class Seen:
    """N records. keys, values: `S16` (N,), record keys and digests of the pixels. splits: int8 (N,). looks: packed,
    uint8 (N, 64).
    """

    keys: np.ndarray
    values: np.ndarray
    splits: np.ndarray
    looks: np.ndarray

    def equal(self) -> dict[str, int]:
        """How many pictures are copies of another one, and of those in several splits, pictures and records."""
        _, which, counts = np.unique(self.values, return_inverse=True, return_counts=True)
        there = np.zeros((len(counts), len(SPLITS)), bool)
        there[which, self.splits] = True
        crossing = there.sum(1) > 1
        return {
            "duplicate_images": int((counts - 1).sum()),
            "images_in_several_splits": int(crossing.sum()),
            "records_with_image_in_another_split": int(counts[crossing].sum()),
        }

    def near(self) -> dict[str, Any]:
        """Pairs of different pictures that look alike, counted; the likest are named by record key and split."""
        _, first = np.unique(self.values, return_index=True)
        pairs, bits = near_pairs(self.looks[first])
        pairs = first[pairs]
        order = np.lexsort((pairs[:, 1], pairs[:, 0], bits))[:_NAMED]
        return {
            "near_copies": {
                "pairs": len(pairs),
                "pairs_across_splits": int((self.splits[pairs[:, 0]] != self.splits[pairs[:, 1]]).sum()),
                "bits": f"{BOUND} of 512 at most",
            },
            "near_pairs": [
                self._named(*pair, bits=number) for pair, number in zip(pairs[order], bits[order], strict=True)
            ],
        }

    def _named(self, one: int, two: int, bits: int) -> dict[str, Any]:
        both = np.array([one, two])
        return {"records": to_hex(self.keys[both]), "splits": [SPLITS[n] for n in self.splits[both]], "bits": int(bits)}
