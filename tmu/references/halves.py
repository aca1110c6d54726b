"""Which reference network learns which record: pairs split the people of D in two halves, by keyed hash.

Network 2 r + h of pair r learns the people of side h. All records of a person lie on one side, so that a network has
either learned all that is known of somebody or nothing. A record of several people goes with the first of them.
Source: cross-fitting (Feldman and Zhang 2020 measure memorisation so); pairs, so that each record has as many networks
that never saw it as networks that did.
"""

import numpy as np
import torch
from torch import Tensor

from tmu.train.order import hash_keys, stream


def sides(subjects: Tensor, pair: int, seed: int) -> Tensor:
    """The side 0 or 1 (N,) of each record in a pair; subjects: int64 (N,), 64 bits of each person's keyed hash."""
    start = stream(seed, "references", pair)
    return torch.from_numpy((hash_keys(subjects, start) & np.uint64(1)).astype(np.int64))


def learned_by(subjects: Tensor, train: Tensor, pairs: int, seed: int) -> Tensor:
    """Which of the 2 R networks learn each record: bool (N, 2 R). train: bool (N,); no other record is learned."""
    columns = []
    for pair in range(pairs):
        side = sides(subjects, pair, seed)
        columns += [(side == number) & train for number in (0, 1)]
    return torch.stack(columns, 1)
