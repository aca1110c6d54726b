"""How kinds draw: an order from hashed keys, sizes from shares, masks from rows."""

import math

import numpy as np
import torch
from torch import Tensor

from tmu.errors import ConfigError, RequestError
from tmu.train.order import hash_keys, stream


def ranked(keys: Tensor, seed: int, purpose: str, *scores: Tensor) -> Tensor:
    """Rows from the largest score to the smallest, int64 (N,) on the CPU.

    The first of `scores` (N,) decides, the next ones break ties; what is still equal, or all where there are no
    scores, is in random order: that of the hashed keys under `seed` and `purpose`.
    """
    columns = [hash_keys(keys, stream(seed, purpose)), *(-score.double().numpy() for score in reversed(scores))]
    return torch.from_numpy(np.lexsort(columns))


def size_of(share: float, n: int) -> int:
    """`share` of n records, rounded; RequestError where that is fewer than two or all of them."""
    size = round(share * n)
    if not 2 <= size <= n - 2:
        raise RequestError(
            f"A share of {share:g} of {n} records is {size}.", f"Choose a share that gives 2 to {n - 2} records."
        )
    return size


def mask_of(rows: Tensor, n: int) -> Tensor:
    """Bool (n,), true at `rows`."""
    mask = torch.zeros(n, dtype=torch.bool)
    mask[rows] = True
    return mask


def of_class(labels: Tensor, number: int, classes: int) -> Tensor:
    """The rows of one class, ascending; ConfigError where there is no such class."""
    if not 0 <= number < classes:
        raise ConfigError(f"There is no class {number}.", f"Choose from 0 to {classes - 1}.")
    return (labels.cpu() == number).nonzero().squeeze(1)


def quotas(labels: Tensor, size: int, classes: int) -> list[int]:
    """How many of each class make `size` records in the proportions of `labels`, by largest remainder."""
    counts = torch.bincount(labels.cpu(), minlength=classes).tolist()
    exact = [size * count / len(labels) for count in counts]
    given = [math.floor(number) for number in exact]
    by_remainder = sorted(range(classes), key=lambda number: (given[number] - exact[number], number))
    for number in by_remainder[: size - sum(given)]:
        given[number] += 1
    return given
