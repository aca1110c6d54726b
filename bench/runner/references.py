"""The references of an original: what networks say of each record that learned it, and networks that never did.

Networks are trained by the suite's recipe on halves of D by person (`tmu/references/halves.py`). Their outputs on all
three splits are kept, their weights are not.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from bench.runner.engine import clock
from bench.runner.made import Made
from bench.runner.shop import Shop
from tmu.config import Seeds
from tmu.data.records import SPLITS
from tmu.references.halves import learned_by
from tmu.references.network import Training, learn
from tmu.references.rows import ReferenceRows
from tmu.train import Examples
from tmu.train.order import stream

TABLE = "table.safetensors"
CODE = ("tmu.references.halves", "tmu.references.network")


def references(shop: Shop, seed: int) -> Made:
    """The table of an original's references, made once; no network of it is an original or a gold of the suite."""
    suite, plan = shop.suite, shop.suite.references
    start = stream(seed, "references of the bench") % 2**31
    inputs = shop.inputs(suite.train, Seeds.all(start)) | {"references": plan.model_dump(mode="json")}
    key = shop.cache.key(inputs, *shop.net_code, *CODE)

    def build(folder: Path, run: dict[str, Any]) -> None:
        fit, begun = shop.engine(key), clock(shop.device)
        train, people = shop.ground.train, shop.ground.people["train"]
        training = Training(suite.train, fit, plan.inner, device=shop.device)
        seen = learned_by(people, torch.ones(len(train), dtype=torch.bool), plan.pairs, start)
        asked, columns = _everything(shop), []
        for number in range(seen.shape[1]):
            net, half = shop.fresh(start, f"reference {number}"), train.take(seen[:, number].to(shop.device))
            columns.append(learn(net, half, asked, Seeds.all(start + number), training))
        tensors = {"seen": seen, "logp": torch.stack([column.logp for column in columns], 1)}
        if plan.inner:
            tensors["inner"] = torch.stack([column.inner for column in columns], 1)
        (folder / TABLE).write_bytes(save(tensors | _facts(shop)))
        run.update(seconds=clock(shop.device) - begun + fit.earlier, networks=seen.shape[1])

    return shop.made("references", key, build)


def read_table(folder: Path) -> dict[str, ReferenceRows]:
    """The rows by split, those of D in the order of its records. No network has learned hold-out or test."""
    tensors, found, start = load_file(folder / TABLE), {}, 0
    for split in SPLITS:
        keys, labels = (tensors[f"{split}.{name}"] for name in ("keys", "labels"))
        rows = slice(start, start + len(keys))
        logp, inner = (tensors[name][rows].float() if name in tensors else None for name in ("logp", "inner"))
        seen = tensors["seen"] if split == "train" else torch.zeros(len(keys), logp.shape[1], dtype=torch.bool)
        found[split], start = ReferenceRows(keys, labels, seen, logp, inner), rows.stop
    return found


def _everything(shop: Shop) -> Examples:
    """All records, split by split."""
    parts = [getattr(shop.ground, split) for split in SPLITS]
    return Examples(*(torch.cat([getattr(part, field) for part in parts]) for field in ("images", "labels", "keys")))


def _facts(shop: Shop) -> dict[str, Tensor]:
    parts = {split: getattr(shop.ground, split) for split in SPLITS}
    keys = {f"{split}.keys": part.keys.cpu() for split, part in parts.items()}
    return keys | {f"{split}.labels": part.labels.cpu() for split, part in parts.items()}


def acquainted_with(people: Tensor, trained: Tensor, seen: Tensor) -> np.ndarray | None:
    """Which networks learned others of the same person, bool (N, M); None where D holds none of these people.

    people (N,); trained (D,), seen bool (D, M): the people of D, and which networks learned each record of it.
    """
    order = trained.argsort()
    place = torch.searchsorted(trained[order], people).clamp_max(len(trained) - 1)
    known = trained[order][place] == people
    return (seen[order[place]] & known[:, None]).numpy() if known.any() else None
