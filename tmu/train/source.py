"""Pictures that stay in files while a model learns them, for sets that are larger than memory.

A `Streamed` stands in the place of the tensor of pictures in `Examples`. Taking rows and joining sets moves numbers of
rows alone; pictures are read a batch at a time, some batches ahead, by threads. The bytes are those of the tensor, so
that the weights are the same, bit for bit.
"""

import hashlib
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

_CPU = torch.device("cpu")
AHEAD = 2
"""Batches that are read while one is learned; each by a thread of its own."""


class Source(Protocol):
    """Where pictures lie. shape: (C, H, W) of each. Calls come from several threads at a time."""

    shape: tuple[int, int, int]

    def __len__(self) -> int: ...

    def read(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Fill `out`, uint8 (B, C·H·W), with the pictures at rows (B,). Raises DataError for a damaged one."""
        ...

    def sums(self, rows: np.ndarray) -> np.ndarray:
        """A CRC-32 of each of the pictures at rows: uint32 (B,)."""
        ...


@dataclass(frozen=True, eq=False)
class Streamed:
    """Pictures uint8 (N, C, H, W) by their rows in sources that lie one after the other.

    rows: int64 (N,), on the CPU. device: where what is read goes.
    """

    sources: tuple[Source, ...]
    rows: Tensor
    device: torch.device = _CPU

    @classmethod
    def of(cls, source: Source, rows: np.ndarray) -> "Streamed":
        """The pictures at rows (N,) of one source."""
        return cls((source,), torch.from_numpy(rows.astype(np.int64)))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> torch.Size:
        """(N, C, H, W)."""
        return torch.Size((len(self), *self.sources[0].shape))

    def __getitem__(self, chosen: int | slice | Tensor) -> Tensor:
        """The chosen pictures (position, slice, indices or mask) as a tensor on `device`."""
        rows = self._rows(chosen)
        return self.sent(self.gathered(rows.reshape(-1))).reshape(*rows.shape, *self.sources[0].shape)

    def take(self, chosen: slice | Tensor) -> "Streamed":
        """The chosen pictures, which stay where they are."""
        return replace(self, rows=self._rows(chosen))

    def to(self, device: torch.device | str) -> "Streamed":
        """The same pictures, which go to another device when they are read."""
        return replace(self, device=torch.device(device))

    def clone(self) -> Tensor:
        """All of them in memory: for a method that changes pixels."""
        return self[:]

    def gathered(self, rows: Tensor) -> Tensor:
        """The pictures at rows (B,) of the sources, on the CPU, in memory from which a GPU copies while it computes."""
        shape, given = self.sources[0].shape, rows.numpy()
        images = torch.empty((len(rows), *shape), dtype=torch.uint8, pin_memory=self.device.type == "cuda")
        out = images.numpy().reshape(len(rows), shape[0] * shape[1] * shape[2])
        for source, here, local in self._by_source(given):
            if len(here) == len(given):
                source.read(local, out)
                break
            part = np.empty((len(here), out.shape[1]), np.uint8)
            source.read(local, part)
            out[here] = part
        return images

    def sent(self, images: Tensor) -> Tensor:
        """What was gathered, on its way to the device."""
        return images.to(self.device, non_blocking=True)

    def digest(self) -> str:
        """SHA-256 (hex) of the pictures' checksums: tells one set from another without reading it."""
        given = self.rows.numpy()
        sums = np.empty(len(given), "<u4")
        for source, here, local in self._by_source(given):
            sums[here] = source.sums(local)
        return hashlib.sha256(repr(tuple(self.shape)).encode() + sums.tobytes()).hexdigest()

    def _rows(self, chosen: int | slice | Tensor) -> Tensor:
        return self.rows[chosen.cpu() if isinstance(chosen, Tensor) else chosen]

    def _by_source(self, rows: np.ndarray) -> Iterator[tuple[Source, np.ndarray, np.ndarray]]:
        """Each source with the places of its rows among those given, and the rows in it."""
        start = 0
        for source in self.sources:
            here = np.flatnonzero((rows >= start) & (rows < start + len(source)))
            if len(here):
                yield source, here, rows[here] - start
            start += len(source)


class Held:
    """A source in memory: a small set that is joined with one in files. images: uint8 (N, C, H, W)."""

    def __init__(self, images: Tensor) -> None:
        self._flat = images.cpu().numpy().reshape(len(images), -1)
        self.shape: tuple[int, int, int] = (images.shape[1], images.shape[2], images.shape[3])

    def __len__(self) -> int:
        return len(self._flat)

    def read(self, rows: np.ndarray, out: np.ndarray) -> None:
        """See `Source`."""
        out[:] = self._flat[rows]

    def sums(self, rows: np.ndarray) -> np.ndarray:
        """See `Source`."""
        return np.array([zlib.crc32(self._flat[row]) for row in rows], np.uint32)


Pictures = Tensor | Streamed


def taken(images: Pictures, rows: Tensor) -> Pictures:
    """The given rows (index or boolean mask): copies of a tensor, the numbers of the rows where pictures stay."""
    return images.take(rows) if isinstance(images, Streamed) else images[rows]


def joined(parts: Sequence[Pictures]) -> Pictures:
    """Several sets as one; in files where one of them is."""
    found = [part for part in parts if isinstance(part, Streamed)]
    if not found:
        return torch.cat([part for part in parts if isinstance(part, Tensor)])
    sources, rows, start = list[Source](), list[Tensor](), 0
    for part in parts:
        each = part if isinstance(part, Streamed) else Streamed((Held(part),), torch.arange(len(part)))
        rows.append(each.rows + start)
        sources += each.sources
        start += sum(map(len, each.sources))
    return Streamed(tuple(sources), torch.cat(rows), found[0].device)


def fed(images: Pictures, order: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """The rows of each batch and its pictures (B, C, H, W), in that order; those in files are read ahead."""
    if isinstance(images, Tensor):
        yield from ((rows, images[rows]) for rows in order)
        return
    if not order:
        return
    at = torch.cat(list(order)).cpu().split([len(rows) for rows in order])  # one wait for the device, not one a batch
    waiting: deque[tuple[Tensor, Future[Tensor]]] = deque()
    with ThreadPoolExecutor(AHEAD, "tmu-pictures") as pool:
        for rows, here in zip(order, at, strict=True):
            waiting.append((rows, pool.submit(images.gathered, images.rows[here])))
            if len(waiting) > AHEAD:
                done, ready = waiting.popleft()
                yield done, images.sent(ready.result())
        for done, ready in waiting:
            yield done, images.sent(ready.result())


def in_batches(images: Pictures, size: int, device: torch.device | str) -> Iterator[Tensor]:
    """All pictures in their order on a device, `size` at a time."""
    if isinstance(images, Tensor):
        yield from (images[start : start + size].to(device) for start in range(0, len(images), size))
    else:
        yield from (batch for _, batch in fed(images.to(device), torch.arange(len(images)).split(size)))
