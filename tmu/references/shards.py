"""The references' table on disk: one safetensors file for each shard of the record store, of the same name.

A file holds the outputs for all records of its bucket, of every split, ascending by record key: erasing a person
rewrites the files of the person's buckets, and a deletion reads no others. Log-probabilities are float16. Where a set
has more than 2 x keep classes, a record keeps `keep` of them, the true class and the likeliest by the mean over all
networks; what a network gives to the others together is one more number, spread evenly over them when read.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from tmu.errors import StorageError
from tmu.files import write_atomic
from tmu.references.rows import FLOOR, ReferenceRows

_BITS = 2 ** torch.arange(8, dtype=torch.uint8)
_HINT = "Fit the references again: `tmu references fit`."


@dataclass(frozen=True, eq=False)
class Outputs:
    """Log-probabilities of N records under M networks of K classes, as kept.

    values: float16 (N, M, V). classes: None, and V = K; or int16 (N, V - 1), the classes kept by record, and the last
    value is the logarithm of what is left to all others.
    """

    values: Tensor
    classes: Tensor | None = None

    def take(self, rows: Tensor) -> "Outputs":
        """The given rows (index or boolean mask)."""
        return Outputs(self.values[rows], None if self.classes is None else self.classes[rows])

    def dense(self, classes: int) -> Tensor:
        """float32 (N, M, K), at least `FLOOR`."""
        values = self.values.float()
        if self.classes is None:
            return values.clamp_min(FLOOR)
        kept = self.classes.shape[1]
        even = values[:, :, -1:] - float(torch.tensor(classes - kept).log())
        spread = even.repeat(1, 1, classes)
        at = self.classes.long()[:, None].expand(-1, values.shape[1], -1)
        return spread.scatter(2, at, values[:, :, :-1]).clamp_min(FLOOR)


@dataclass(frozen=True, eq=False)
class ShardRows:
    """The rows of one bucket. record_keys: uint8 (N, 16). labels: int32 (N,). splits: int8 (N,), as in the store.

    seen: bool (N, M), which networks learned the record. logp, inner: see `ReferenceRows`.
    """

    record_keys: Tensor
    labels: Tensor
    splits: Tensor
    seen: Tensor
    logp: Outputs
    inner: Outputs | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Tensor) -> "ShardRows":
        """The given rows (index or boolean mask), in that order."""
        return ShardRows(
            self.record_keys[rows],
            self.labels[rows],
            self.splits[rows],
            self.seen[rows],
            self.logp.take(rows),
            None if self.inner is None else self.inner.take(rows),
        )

    def without(self, record_keys: Tensor) -> "ShardRows":
        """All rows but those of the records uint8 (n, 16)."""
        gone = {bytes(key) for key in record_keys.numpy()}
        return self.take(torch.tensor([bytes(key) not in gone for key in self.record_keys.numpy()], dtype=torch.bool))

    def rows(self, classes: int) -> ReferenceRows:
        """The same in memory."""
        inner = None if self.inner is None else self.inner.dense(classes)
        return ReferenceRows(self.keys64(), self.labels.long(), self.seen, self.logp.dense(classes), inner)

    def keys64(self) -> Tensor:
        """int64 (N,): the first 8 bytes of each record key, big-endian, as `tmu/data/keys.key64` has them."""
        heads = self.record_keys[:, :8].flip(1).contiguous()
        return heads.view(torch.int64).reshape(-1) if len(self) else torch.zeros(0, dtype=torch.int64)


def shard_name(bucket: int) -> str:
    """The file of a bucket."""
    return f"{bucket:02x}.safetensors"


def pack(logp: Tensor, labels: Tensor, keep: int) -> Outputs:
    """Log-probabilities float (N, M, K) as they are kept: whole, or the classes that matter where K > 2 keep."""
    classes = logp.shape[2]
    logp = logp.float().clamp_min(FLOOR)
    if classes <= 2 * keep:
        return Outputs(logp.half())
    ranked = logp.exp().mean(1).scatter(1, labels.long()[:, None], 2.0)  # first of all the true class
    kept = ranked.topk(keep, dim=1).indices
    at = kept[:, None].expand(-1, logp.shape[1], -1)
    chosen = logp.gather(2, at)
    rest = logp.scatter(2, at, -torch.inf).logsumexp(2, keepdim=True)
    return Outputs(torch.cat([chosen, rest], 2).half(), kept.to(torch.int16))


def write_rows(path: Path, rows: ShardRows) -> None:
    """Write a shard, whole or not at all; its bytes depend on the rows alone."""
    tensors = {
        "record_keys": rows.record_keys,
        "labels": rows.labels,
        "splits": rows.splits,
        "seen": _packed(rows.seen),
        "nets": torch.tensor([rows.seen.shape[1]], dtype=torch.int32),
    }
    for name, outputs in (("logp", rows.logp), ("inner", rows.inner)):
        if outputs is not None:
            tensors[name] = outputs.values
            if outputs.classes is not None:
                tensors[f"{name}_classes"] = outputs.classes
    write_atomic(path, save({name: value.contiguous() for name, value in tensors.items()}))


def read_shard(path: Path) -> ShardRows:
    """Read a shard. Raises StorageError with the file's name where it is missing or unreadable."""
    try:
        tensors = load(path.read_bytes())
        return ShardRows(
            tensors["record_keys"],
            tensors["labels"],
            tensors["splits"],
            _unpacked(tensors["seen"], int(tensors["nets"])),
            Outputs(tensors["logp"], tensors.get("logp_classes")),
            Outputs(tensors["inner"], tensors.get("inner_classes")) if "inner" in tensors else None,
        )
    except (OSError, SafetensorError, KeyError) as error:
        raise StorageError(f"The references' shard {path.name} is missing or unreadable.", _HINT) from error


def join(parts: list[ReferenceRows], nets: int, classes: int) -> ReferenceRows:
    """Several shards' rows as one; of no shards, no rows."""
    if not parts:
        empty = torch.zeros(0, dtype=torch.int64)
        return ReferenceRows(empty, empty, torch.zeros(0, nets, dtype=torch.bool), torch.zeros(0, nets, classes))
    inner = None if parts[0].inner is None else torch.cat([part.inner for part in parts if part.inner is not None])
    return ReferenceRows(
        torch.cat([part.keys for part in parts]),
        torch.cat([part.labels for part in parts]),
        torch.cat([part.seen for part in parts]),
        torch.cat([part.logp for part in parts]),
        inner,
    )


def _packed(seen: Tensor) -> Tensor:
    """Bool (N, M) as bits, uint8 (N, ceil(M / 8)), the lowest bit first."""
    n, nets = seen.shape
    width = -(-nets // 8)
    padded = torch.zeros(n, 8 * width, dtype=torch.uint8)
    padded[:, :nets] = seen.to(torch.uint8)
    return (padded.reshape(n, width, 8) * _BITS).sum(2, dtype=torch.uint8)


def _unpacked(bits: Tensor, nets: int) -> Tensor:
    """The inverse of `_packed`."""
    return ((bits[:, :, None] & _BITS) != 0).flatten(1)[:, :nets].contiguous()
