"""Order and augmentation keyed by the record, so that a gold is paired with its original.

Source: the idea of separate order and augmentation seeds drawn for the full set and then masked (airbench96). Here
each record's place and view are a hash of (seed, purpose, epoch, record key): removing a record changes no other
record's view and leaves the order of the rest as it was, and no table of the full set is needed.
"""

import hashlib

import numpy as np
import torch
from torch import Tensor


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
    """Shifted (and flipped) views of images (N, C, H, W); a view depends on its record's `view_bits` alone.

    Pixels are only moved, whatever their type. What is shifted lies channels last.
    """
    if kind == "none":
        return images
    reach = max(1, images.shape[-1] // 8)
    down, right = bits % (2 * reach + 1) - reach, (bits >> 16) % (2 * reach + 1) - reach
    flip = ((bits >> 40) & 1).bool() if kind == "flip_shift" else torch.zeros_like(bits, dtype=torch.bool)
    return _moved(images, down, right, flip)


def _moved(images: Tensor, down: Tensor, right: Tensor, flip: Tensor) -> Tensor:
    """One gather: the pixel at (y, x) comes from (y + down, x + right), mirrored at the edges; then columns flip."""
    n, _, h, w = images.shape
    across = torch.arange(w, device=images.device)
    across = torch.where(flip[:, None], w - 1 - across, across)  # (N, W)
    rows = _reflected(down[:, None] + torch.arange(h, device=images.device), h)  # (N, H)
    cols = _reflected(right[:, None] + across, w)
    record = torch.arange(n, device=images.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[record, rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2)


def _reflected(places: Tensor, size: int) -> Tensor:
    """Places on a line of `size` pixels, mirrored at its ends without repeating the last pixel."""
    period = max(1, 2 * (size - 1))
    places = places % period
    return torch.minimum(places, period - places)
