"""The table of the references: which records have rows, which network learns which record of D, and how it is written.

Rows lie by bucket and within it as in the record store, so that each shard is one run of rows in what every network
left behind (`00.safetensors`, `01.safetensors`, ... in the folder of the fit below `.tmu/references`).
"""

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from tmu.config import Params, Seeds
from tmu.data.keys import KEY_BYTES, key64
from tmu.data.records import SPLITS
from tmu.data.store import RecordStore
from tmu.files import write_atomic, write_json
from tmu.references.halves import learned_by
from tmu.references.network import NetworkOutputs
from tmu.references.shards import ShardRows, pack, shard_name, write_rows
from tmu.steps.loading import examples_at
from tmu.train import Examples
from tmu.train.order import stream

INFO = "info.json"
_RULE = "by person: the lowest bit of SplitMix64 over 64 bits of the first subject key, another stream for each pair"


def recipe_of(params: Params) -> dict[str, Any]:
    """What determines a table besides the data, the code and the machine; JSON-ready."""
    return {
        "model": params.model.made_of(),
        "train": params.train.model_dump(mode="json"),
        "references": params.references.fitted(),
        "head_records": params.audit.head_records if params.references.inner else None,
        "seed": params.seed,
    }


class Table:
    """The table of a record store under parameters. nets: M. classes: K."""

    def __init__(self, store: RecordStore, params: Params) -> None:
        index = store.index()
        self.store, self.params = store, params
        self.nets, self.classes = 2 * params.references.pairs, len(store.info.live)
        self._labels = store.info.outputs[index.labels]  # -1: of a retired class, for which no network has an output
        self._train = torch.from_numpy((index.splits == SPLITS.index("train")) & (self._labels >= 0))
        subjects = torch.from_numpy(key64(index.subject_keys))
        self._seen = learned_by(subjects, self._train, params.references.pairs, params.seed)
        self.buckets = _buckets(index.buckets, params)
        order = np.lexsort((index.rows, index.buckets))
        self._asked = order[np.isin(index.buckets[order], self.buckets) & (self._labels[order] >= 0)]

    def half(self, network: int) -> Examples:
        """The records that a network learns."""
        return examples_at(self.store, np.flatnonzero(self._seen[:, network].numpy()))

    def half_size(self, network: int) -> int:
        """How many these are."""
        return int(self._seen[:, network].sum())

    def asked(self) -> Examples:
        """The records that have rows, in the order of the rows."""
        return examples_at(self.store, self._asked)

    def seeds(self, network: int) -> Seeds:
        """A network's own seeds of weights, order and augmentation."""
        return Seeds.all(stream(self.params.seed, "reference network", network) % 2**32)

    def holdout_accuracy_pct(self, outputs: NetworkOutputs, labels: Tensor) -> float | None:
        """Of a network on the hold-out records that have rows; None where there are none."""
        held = torch.from_numpy(self.store.index().splits[self._asked] == SPLITS.index("holdout"))
        right = outputs.logp.float().argmax(1) == labels
        return 100 * float(right[held].double().mean()) if bool(held.any()) else None

    def write(self, folder: Path, state: Path, root: str) -> None:
        """All shards and `info.json`, from what the networks left in `state`. root: names this fit in later tables."""
        index, begin = self.store.index(), 0
        buckets = index.buckets[self._asked]
        for bucket in self.buckets:
            here = self._asked[buckets == bucket]
            write_rows(folder / shard_name(bucket), self._shard(here, state, slice(begin, begin + len(here))))
            begin += len(here)
        write_json(folder / INFO, self._info(state, root))

    def _shard(self, here: np.ndarray, state: Path, rows: slice) -> ShardRows:
        index, references = self.store.index(), self.params.references
        labels = torch.from_numpy(self._labels[here].astype(np.int32))
        return ShardRows(
            record_keys=torch.from_numpy(_bytes(index.record_keys[here])),
            labels=labels,
            splits=torch.from_numpy(index.splits[here].astype(np.int8)),
            seen=self._seen[torch.from_numpy(here)],
            logp=pack(self._outputs(state, "logp", rows), labels, references.keep),
            inner=pack(self._outputs(state, "inner", rows), labels, references.keep) if references.inner else None,
        )

    def _outputs(self, state: Path, name: str, rows: slice) -> Tensor:
        """Some rows under all networks: float16 (n, M, K)."""
        found = []
        for network in range(self.nets):
            with safe_open(outputs_path(state, network), framework="pt") as file:
                found.append(file.get_slice(name)[rows.start : rows.stop])
        return torch.stack(found, 1)

    def _info(self, state: Path, root: str) -> dict[str, Any]:
        """What the table is; nothing in it depends on the clock."""
        counts = np.bincount(self.store.index().splits[self._asked], minlength=len(SPLITS))
        reports = [read_report(state, network) or {} for network in range(self.nets)]
        return {
            "root": root,
            "classes": self.classes,
            "nets": self.nets,
            **self.params.references.fitted(),
            "buckets": self.buckets,
            "records": {split: int(number) for split, number in zip(SPLITS, counts, strict=True)},
            "n_train": int(self._train.sum()),
            "split_rule": _RULE,
            "seeds": [self.seeds(network).init for network in range(self.nets)],
            "holdout_accuracy_pct": [report["holdout_accuracy_pct"] for report in reports],
            "erased_records": 0,
            "deletions": 0,
        }


def outputs_path(state: Path, network: int) -> Path:
    """What a network leaves behind when it is done."""
    return state / f"{network:02d}.safetensors"


def write_outputs(state: Path, network: int, outputs: NetworkOutputs, report: dict[str, Any]) -> None:
    """Leave them, in one move."""
    tensors = {"logp": outputs.logp} | ({} if outputs.inner is None else {"inner": outputs.inner})
    write_atomic(outputs_path(state, network), save(tensors, {"report": json.dumps(report)}))


def read_report(state: Path, network: int) -> dict[str, Any] | None:
    """How a network's training went; None where it is not done."""
    unfinished = contextlib.suppress(OSError, SafetensorError, ValueError, KeyError, TypeError)
    with unfinished, safe_open(outputs_path(state, network), framework="pt") as file:
        return json.loads((file.metadata() or {})["report"])
    return None


def _bytes(keys: np.ndarray) -> np.ndarray:
    """Keys S16 (N,) as uint8 (N, 16)."""
    return np.ascontiguousarray(keys).view(np.uint8).reshape(len(keys), KEY_BYTES).copy()


def _buckets(buckets: np.ndarray, params: Params) -> list[int]:
    """All that hold records; or some, drawn by the seed, that hold `most_records` at most (but one at least)."""
    present, counts = np.unique(buckets, return_counts=True)
    most = params.references.most_records
    if most is None or counts.sum() <= most:
        return [int(bucket) for bucket in present]
    chosen, total = [], 0
    held = zip(present.tolist(), counts.tolist(), strict=True)
    for bucket, count in sorted(held, key=lambda each: stream(params.seed, "references' buckets", each[0])):
        if not chosen or total + count <= most:
            chosen, total = [*chosen, bucket], total + count
    return sorted(chosen)
