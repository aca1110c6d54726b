"""All records of one contributor: what a deletion request under data-protection law asks for.

The contributor has the median number of records (the lower median of an even number of contributors); among those
with exactly as many the seed decides. With `place`, it is the contributor at that place of a random order that the seed
decides, so that sets of several places are several people. Source: identity sets as in MUFAC (arXiv 2311.02240), there
real faces. Where a data set names nobody and contributors are simulated, this is a small random set in all but its
size.
"""

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from bench.forget_sets.world import ForgetWorld
from tmu.config import Config
from tmu.errors import DataError, RequestError
from tmu.train.order import stream

NEEDS_CROSSFIT = False


class Options(Config):
    """Who."""

    place: int | None = Field(None, ge=0, description="in a random order of all; null: somebody with the median number")


def draw(world: ForgetWorld, options: Options) -> Tensor:
    """Bool (N,). Raises RequestError where nobody is named and DataError where codes and records differ in number."""
    if world.subjects is None:
        raise RequestError("The records name no contributors.", "Import with subjects, or choose another forget set.")
    if len(world.subjects) != len(world.train):
        raise DataError(
            f"There are {len(world.subjects)} contributor codes for {len(world.train)} records.", "Give one a record."
        )
    codes, counts = np.unique(world.subjects, return_counts=True)
    if options.place is not None:
        return _at(world, codes, options.place)
    median = np.sort(counts)[(len(counts) - 1) // 2]
    alike = codes[counts == median]
    chosen = alike[np.random.default_rng(stream(world.seed, "person")).integers(len(alike))]
    return torch.from_numpy(world.subjects == chosen)


def _at(world: ForgetWorld, codes: np.ndarray, place: int) -> Tensor:
    if place >= len(codes):
        raise RequestError(f"There are {len(codes)} contributors, none at place {place}.", "Choose a lower place.")
    order = np.random.default_rng(stream(world.seed, "people")).permutation(codes)
    return torch.from_numpy(world.subjects == order[place])
