"""Rare classes made up for: by the weight of their records in the loss, or by visiting them more often.

Both rest on how many records each class has among those that the run trains on, counted anew in each run: counts of
the original's would carry forgotten records into a gold.
"""

import numpy as np
import torch
from torch import Tensor

from tmu.train.order import hash_keys, stream

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def class_weights(labels: Tensor) -> Tensor:
    """float32 (N,): each record's weight, inverse to its class's number of records; their mean is 1."""
    counts = labels.cpu().bincount()
    present = (counts > 0).sum()
    of_class = (len(labels) / (present * counts.clamp_min(1).double())).float()
    return of_class.to(labels.device)[labels]


def balanced_order(keys: Tensor, labels: Tensor, seed: int, epoch: int) -> Tensor:
    """Rows int64 (N,) of an epoch of N visits, shared equally by the classes that are there.

    A class's records are visited in whole rounds and, for the rest, those whose keyed draw of this epoch is lowest. A
    record's first visit is where it would be without balance; further visits have places of their own.
    """
    n, of = len(keys), labels.cpu().numpy()
    draws = hash_keys(keys, stream(seed, "balance", epoch))
    rows = np.lexsort((draws, of))
    classes, first, counts = np.unique(of[rows], return_index=True, return_counts=True)
    shares = n // len(classes) + (np.arange(len(classes)) < n % len(classes))
    rank = np.arange(n) - np.repeat(first, counts)  # a record's place within its class
    share, size = np.repeat(shares, counts), np.repeat(counts, counts)
    visits = share // size + (rank < share % size)
    visited = np.repeat(rows, visits)
    number = np.arange(n) - np.repeat(np.cumsum(visits) - visits, visits)
    with np.errstate(over="ignore"):
        places = hash_keys(keys, stream(seed, "order", epoch))[visited] + number.astype(np.uint64) * _GOLDEN
    again = hash_keys(torch.from_numpy(places.view(np.int64)), 0)
    order = np.argsort(np.where(number == 0, places, again), kind="stable")
    return torch.from_numpy(visited[order]).to(keys.device)
