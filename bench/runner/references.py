"""The references of an original: what networks say of each record that learned it, and networks that never did.

Networks are trained by the suite's recipe on halves of D by person (`tmu/references/halves.py`). Their outputs on all
three splits are kept, their weights are not.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from bench.runner.engine import clock
from bench.runner.made import Made
from tmu.audit.probes.head_refit import fit_head, some
from tmu.config import AuditConfig, Seeds
from tmu.data.records import SPLITS
from tmu.references.halves import learned_by
from tmu.references.rows import FLOOR, ReferenceRows
from tmu.train import Examples
from tmu.train.order import stream
from tmu.train.predict import predict

if TYPE_CHECKING:
    from bench.runner.models import Workshop

TABLE = "table.safetensors"
CODE = ("tmu.references.halves", "tmu.references.rows", "tmu.audit.probes.head_refit")


def references(shop: "Workshop", seed: int) -> Made:
    """The table of an original's references, made once; no network of it is an original or a gold of the suite."""
    suite, plan = shop.suite, shop.suite.references
    start = stream(seed, "references of the bench") % 2**31
    inputs = shop.inputs(suite.train, Seeds.all(start)) | {"references": plan.model_dump(mode="json")}
    key = shop.cache.key(inputs, *shop.net_code, *CODE)

    def build(folder: Path, run: dict[str, Any]) -> None:
        fit, begun = shop.engine(key), clock(shop.device)
        train, people = shop.ground.train, shop.ground.people["train"]
        seen = learned_by(people, torch.ones(len(train), dtype=torch.bool), plan.pairs, start)
        columns = []
        for number in range(seen.shape[1]):
            net, half = shop.fresh(start, f"reference {number}"), train.take(seen[:, number].to(shop.device))
            fit(net, half, suite.train, Seeds.all(start + number))
            columns.append(_outputs(shop, net, half, start, inner=plan.inner))
        tensors = {name: torch.stack([column[name] for column in columns], 1) for name in columns[0]}
        (folder / TABLE).write_bytes(save(tensors | {"seen": seen} | _facts(shop)))
        run.update(seconds=clock(shop.device) - begun + fit.earlier, networks=seen.shape[1])

    return shop.made("references", key, build)


def read_table(folder: Path) -> dict[str, ReferenceRows]:
    """The rows by split, those of D in the order of its records. No network has learned hold-out or test."""
    tensors = load_file(folder / TABLE)
    found = {}
    for split in SPLITS:
        keys, labels, logp = (tensors[f"{split}.{name}"] for name in ("keys", "labels", "logp"))
        seen = tensors["seen"] if split == "train" else torch.zeros(len(keys), logp.shape[1], dtype=torch.bool)
        found[split] = ReferenceRows(keys, labels, seen, logp, tensors.get(f"{split}.inner"))
    return found


def of_pairs(rows: ReferenceRows, pairs: int) -> ReferenceRows:
    """The same records under the first `pairs` pairs of networks alone."""
    return rows.without(list(range(2 * pairs, rows.nets)))


def log_probabilities(logits: Tensor) -> Tensor:
    """As the table holds them: float32 (N, K), at least `FLOOR`."""
    return logits.float().log_softmax(1).clamp_min(FLOOR)


def _outputs(shop: "Workshop", net: nn.Module, half: Examples, seed: int, *, inner: bool) -> dict[str, Tensor]:
    """log-probabilities by split, and with `inner` those of a fresh head fitted on some of what was learned."""
    found, head = {}, None
    if inner:
        chosen = some(half, AuditConfig().head_records, seed, "head refit")
        logits, features = predict(net, chosen.images, device=shop.device)
        head = fit_head(features, chosen.labels.cpu(), logits.shape[1])
    for split in SPLITS:
        logits, features = predict(net, getattr(shop.ground, split).images, device=shop.device)
        found[f"{split}.logp"] = log_probabilities(logits)
        if head is not None:
            found[f"{split}.inner"] = log_probabilities(head.logits(features))
    return found


def _facts(shop: "Workshop") -> dict[str, Tensor]:
    parts = {split: getattr(shop.ground, split) for split in SPLITS}
    keys = {f"{split}.keys": part.keys.cpu() for split, part in parts.items()}
    return keys | {f"{split}.labels": part.labels.cpu() for split, part in parts.items()}
