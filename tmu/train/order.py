"""Order and augmentation keyed by the record, so that a gold is paired with its original.

Source: the idea of separate order and augmentation seeds drawn for the full set and then masked (airbench96). Here
each record's place and view are a hash of (seed, purpose, epoch, record key): removing a record changes no other
record's view and leaves the order of the rest as it was, and no table of the full set is needed.
"""

import hashlib

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad


def stream(seed: int, purpose: str, *counters: int) -> int:
    """A 64-bit start value for one purpose of one seed (and epoch, step, ...)."""
    text = ":".join([str(seed), purpose, *map(str, counters)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def hash_keys(keys: Tensor, start: int) -> np.ndarray:
    """SplitMix64 of each key, offset by `start`: int64 (N,) → uint64 (N,). Source: Steele, Lea, Flood 2014."""
    with np.errstate(over="ignore"):
        z = keys.cpu().numpy().view(np.uint64) ^ np.uint64(start)
        z = z + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def epoch_order(keys: Tensor, seed: int, epoch: int) -> Tensor:
    """The rows in the order of this epoch: int64 (N,). The rest keeps its order when records are removed."""
    return torch.from_numpy(np.argsort(hash_keys(keys, stream(seed, "order", epoch)), kind="stable")).to(keys.device)


def batch_count(n: int, batch_size: int) -> int:
    """ceil(n / batch_size), but never so many that a batch holds one record alone (batch norm cannot train on it)."""
    return max(1, min(-(-n // batch_size), n // 2))


def batches(order: Tensor, batch_size: int) -> list[Tensor]:
    """The order in `batch_count` batches of nearly equal size."""
    return list(torch.tensor_split(order, batch_count(len(order), batch_size)))


def view_bits(keys: Tensor, seed: int, epoch: int) -> Tensor:
    """What decides the views of an epoch: int64 (N,), 63 random bits a record, on the keys' device."""
    bits = hash_keys(keys, stream(seed, "augment", epoch)) >> np.uint64(1)
    return torch.from_numpy(bits.view(np.int64)).to(keys.device)


def augment(images: Tensor, bits: Tensor, kind: str) -> Tensor:
    """Shifted (and flipped) views of float images (N, C, H, W); a view depends on its record's `view_bits` alone."""
    if kind == "none":
        return images
    reach = max(1, images.shape[-1] // 8)
    images = _shifted(images, bits % (2 * reach + 1), (bits >> 16) % (2 * reach + 1), reach)
    if kind == "flip_shift":
        flip = ((bits >> 40) & 1).bool()[:, None, None, None]
        images = torch.where(flip, images.flip(-1), images)
    return images


def _shifted(images: Tensor, down: Tensor, right: Tensor, reach: int) -> Tensor:
    n, c, h, w = images.shape
    padded = pad(images, (reach, reach, reach, reach), mode="reflect")
    rows = down[:, None] + torch.arange(h, device=images.device)  # (N, H)
    cols = right[:, None] + torch.arange(w, device=images.device)  # (N, W)
    record = torch.arange(n, device=images.device)[:, None, None, None]
    channel = torch.arange(c, device=images.device)[None, :, None, None]
    return padded[record, channel, rows[:, None, :, None], cols[:, None, None, :]]
