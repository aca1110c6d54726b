"""The audit without golds on models of the bench: which records it sees, and what is kept of them.

The one place where the bench meets `tmu/audit/by_table/`. A model is asked once a forget set.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save
from torch import Tensor

from bench.runner.cache import read_run
from bench.runner.engine import clock
from bench.runner.made import Forgotten, Made
from bench.runner.models import Workshop
from bench.runner.references import acquainted_with, read_table
from tmu.audit.by_table import Part, TableAudit, TableCase, audit_by_table
from tmu.audit.probes.head_refit import fit_head, some
from tmu.config import AuditConfig
from tmu.train import Examples
from tmu.train.predict import predict

RETAIN, TEST = 2000, 2000  # records of those who stay, and never seen, at most
CONFIG = AuditConfig(bootstrap=100)
_SAID = "said.safetensors"


@dataclass(frozen=True, eq=False)
class Sight:
    """What the audit of a request looks at: rows of D (forget, retain) and of the test set, int64, by part."""

    request: Forgotten
    places: dict[str, Tensor]

    @classmethod
    def of(cls, shop: Workshop, request: Forgotten) -> "Sight":
        """All that is asked for, a sample of what stays, and one of the test set: drawn by key."""
        kept, test = (~request.gone).nonzero()[:, 0], torch.arange(len(shop.ground.test))
        drawn = {
            "retain": _drawn(shop.ground.train, kept, RETAIN, shop.suite.sample_seed),
            "test": _drawn(shop.ground.test, test, TEST, shop.suite.sample_seed),
        }
        return cls(request, {"forget": request.now.nonzero()[:, 0], **drawn})

    def examples(self, shop: Workshop) -> dict[str, Examples]:
        """The records by part."""
        return {name: _split(shop, name).take(rows.to(shop.device)) for name, rows in self.places.items()}


@dataclass(frozen=True, eq=False)
class Asked:
    """What one model says: logits (N, K) by part, the same with a fresh head, and what it took to ask."""

    logits: dict[str, np.ndarray]
    inner: dict[str, np.ndarray] | None
    seconds: float


@dataclass(frozen=True, eq=False)
class Audited:
    """An audit without golds, and its cost in seconds: asking both models, fitting fresh heads, judging."""

    case: TableCase
    audit: TableAudit
    seconds: float


def audited(shop: Workshop, sight: Sight, model: Made, original: Made, table: Made) -> Audited:
    """Judge a model beside its original."""
    said = {"unlearned": asked(shop, sight, model), "original": asked(shop, sight, original)}
    tables, parts = read_table(table.folder), {}
    for name, rows in sight.places.items():
        split = "test" if name == "test" else "train"
        inner = None if said["original"].inner is None else {who: each.inner[name] for who, each in said.items()}
        logits = {who: each.logits[name] for who, each in said.items()}
        people = shop.ground.people[split][rows]
        known = acquainted_with(people, shop.ground.people["train"], tables["train"].seen) if name == "test" else None
        parts[name] = Part(logits, tables[split].take(rows), people.numpy(), inner, known)
    case = TableCase(**parts, config=CONFIG, seed=shop.suite.sample_seed)
    started = clock(shop.device)
    audit = audit_by_table(case)
    return Audited(case, audit, clock(shop.device) - started + sum(each.seconds for each in said.values()))


def kept_audit(shop: Workshop, request: Forgotten, model: Made, original: Made, table: Made) -> Path:
    """The folder of an audit, judged once: its run record has `seconds`, `outcome` and `p_member` of the request."""
    inputs = {"model": model.folder.name, "original": original.folder.name, "table": table.folder.name}
    key = shop.cache.key(inputs | {"request": request.key}, "tmu.audit.by_table")

    def build(folder: Path, run: dict[str, Any]) -> None:
        found = audited(shop, Sight.of(shop, request), model, original, table)
        p_member = float(found.audit.outer.request["unlearned"].member[0])
        run.update(seconds=found.seconds, outcome=found.audit.verdict.outcome, p_member=p_member)

    return shop.cache.make("audits", key, build)


def with_pairs(case: TableCase, pairs: int) -> TableCase:
    """The same case under fewer references."""
    return replace(case, **{name: part.of_pairs(pairs) for name, part in case.parts.items()})


def asked_by(case: TableCase, rows: np.ndarray, persons: np.ndarray) -> TableCase:
    """The same case for some of the forgotten records, int (n,), as if `persons` (n,) had asked."""
    return replace(case, forget=replace(case.forget.take(rows), subjects=persons))


def asked(shop: Workshop, sight: Sight, made: Made) -> Asked:
    """Ask a model once. Its fresh head is fitted on records that stay."""
    inner, inputs = shop.suite.references.inner, {"model": made.folder.name, "request": sight.request.key}
    key = shop.cache.key(inputs | {"inner": inner}, "tmu.audit.probes.head_refit")

    def build(folder: Path, run: dict[str, Any]) -> None:
        net, parts = shop.net(made), sight.examples(shop)
        started = clock(shop.device)
        found = {name: predict(net, part.images, device=shop.device) for name, part in parts.items()}
        tensors = {f"logits.{name}": logits for name, (logits, _) in found.items()}
        if inner:
            features, labels = found["retain"][1][: CONFIG.head_records], parts["retain"].labels.cpu()
            head = fit_head(features, labels[: CONFIG.head_records], found["retain"][0].shape[1])
            tensors |= {f"inner.{name}": head.logits(phi) for name, (_, phi) in found.items()}
        run.update(seconds=clock(shop.device) - started)
        (folder / _SAID).write_bytes(save({name: each.numpy() for name, each in tensors.items()}))

    folder = shop.cache.make("asked", key, build)
    stored = load_file(folder / _SAID)
    logits, heads = ({name: stored.get(f"{kind}.{name}") for name in sight.places} for kind in ("logits", "inner"))
    return Asked(logits, heads if inner else None, read_run(folder)["seconds"])


def _split(shop: Workshop, name: str) -> Examples:
    return shop.ground.test if name == "test" else shop.ground.train


def _drawn(examples: Examples, rows: Tensor, most: int, seed: int) -> Tensor:
    keys = examples.keys.cpu()[rows]
    return rows[torch.isin(keys, some(examples.take(rows.to(examples.keys.device)), most, seed, "audit").keys.cpu())]
