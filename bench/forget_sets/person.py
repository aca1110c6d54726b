"""All records of one contributor: what a deletion request under data-protection law asks for.

The contributor has the median number of records (the lower median of an even number of contributors); among those
with exactly as many the seed decides. Source: identity sets as in MUFAC (arXiv 2311.02240), there real faces. Where a
data set names nobody and contributors are simulated, this is a small random set in all but its size.
"""

import numpy as np
import torch
from torch import Tensor

from bench.forget_sets.world import ForgetWorld
from tmu.config import Config
from tmu.errors import DataError, RequestError
from tmu.train.order import stream

NEEDS_CROSSFIT = False


class Options(Config):
    """None."""


def draw(world: ForgetWorld, options: Options) -> Tensor:
    """Bool (N,). Raises RequestError where nobody is named and DataError where codes and records differ in number."""
    if world.subjects is None:
        raise RequestError("The records name no contributors.", "Import with subjects, or choose another forget set.")
    if len(world.subjects) != len(world.train):
        raise DataError(
            f"There are {len(world.subjects)} contributor codes for {len(world.train)} records.", "Give one a record."
        )
    codes, counts = np.unique(world.subjects, return_counts=True)
    median = np.sort(counts)[(len(counts) - 1) // 2]
    alike = codes[counts == median]
    chosen = alike[np.random.default_rng(stream(world.seed, "person")).integers(len(alike))]
    return torch.from_numpy(world.subjects == chosen)
