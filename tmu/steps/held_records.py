"""The records of the hold-out on which a training is looked at after each epoch."""

import numpy as np
import torch

from tmu.config import TrainConfig
from tmu.data.keys import key64
from tmu.data.records import SPLITS
from tmu.data.store import RecordStore
from tmu.errors import DataError
from tmu.steps.loading import examples_at
from tmu.train import Examples
from tmu.train.order import hash_keys, stream


def held_records(store: RecordStore, recipe: TrainConfig, without: frozenset[str] = frozenset()) -> Examples | None:
    """At most `recipe.holdout_records` of them, drawn by their keys: without one, the others are the same.

    without: record keys that are left out. None where there are none to look at; records of a retired class are none.
    Raises DataError where the recipe stops early, and there is nothing to stop by.
    """
    index = store.index()
    there = (index.splits == SPLITS.index("holdout")) & (store.info.outputs[index.labels] >= 0)
    there[index.find_records(without)[0]] = False
    rows = np.flatnonzero(there)
    places = hash_keys(torch.from_numpy(key64(index.record_keys[rows])), stream(0, "held records"))
    chosen = np.sort(rows[np.argsort(places, kind="stable")[: recipe.holdout_records]])
    if recipe.early_stop and not len(chosen):
        raise DataError(
            "The dataset has no hold-out, and `train.early_stop` stops by its accuracy.",
            "Import with a hold-out, or set `train.early_stop` to null.",
        )
    return examples_at(store, chosen) if len(chosen) else None
