"""The audit without golds on models of the bench: which records it sees, and what is kept of them.

The one place where the bench meets `tmu/audit/by_table/`. A model is asked once a forget set.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from bench.runner.cache import read_run
from bench.runner.engine import clock
from bench.runner.lessons import some_people
from bench.runner.made import Forgotten, Made, Step
from bench.runner.models import Workshop
from bench.runner.references import acquainted_with, read_table
from tmu.audit.answers import Answers, ask, fresh_head
from tmu.audit.by_table import Part, TableAudit, TableCase, audit_by_table
from tmu.audit.unseen import looked_at
from tmu.config import AuditConfig
from tmu.train import Examples
from tmu.train.fresh_head import some

CONFIG = AuditConfig(bootstrap=100)
_SAID = "said.safetensors"


@dataclass(frozen=True, eq=False)
class Sight:
    """What the audit of a request looks at: rows of D (forget, retain) and of the test set, int64, by part."""

    request: Forgotten
    places: dict[str, Tensor]

    @classmethod
    def of(cls, shop: Workshop, request: Forgotten) -> "Sight":
        """All that is asked for, whole people of those who stay, and records of the test set: drawn by key."""
        seed, many = shop.suite.sample_seed, looked_at(CONFIG.sample)
        kept, test = (~request.gone).nonzero()[:, 0], shop.ground.test
        stay = kept[some_people(shop.ground.people["train"][kept], many["retain"], seed, "audit")]
        asked = torch.isin(test.keys, some(test, many["test"], seed, "audit").keys).nonzero()[:, 0].cpu()
        return cls(request, {"forget": request.now.nonzero()[:, 0], "retain": stay, "test": asked})

    def examples(self, shop: Workshop) -> dict[str, Examples]:
        """The records by part."""
        return {name: _split(shop, name).take(rows.to(shop.device)) for name, rows in self.places.items()}


@dataclass(frozen=True, eq=False)
class Asked:
    """What one model says: its answers, their logits (N, K) by part, the same with a fresh head; what asking took."""

    answers: Answers
    logits: dict[str, np.ndarray]
    inner: dict[str, np.ndarray] | None
    seconds: float


@dataclass(frozen=True, eq=False)
class Audited:
    """An audit without golds, and its cost in seconds: asking both models, fitting fresh heads, judging."""

    case: TableCase
    audit: TableAudit
    seconds: float


def audited(
    shop: Workshop, sight: Sight, model: Made, original: Made, table: Made, before: Forgotten | None = None
) -> Audited:
    """Judge a model beside its original. before: the request that the original was made for, and asked about; of a
    model that serves no request yet None.
    """
    known = None if before is None else asked(shop, Sight.of(shop, before), original).answers
    said = {"unlearned": asked(shop, sight, model), "original": asked(shop, sight, original, known)}
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


def kept_audit(shop: Workshop, step: Step, table: Made) -> Path:
    """The folder of an audit, judged once: its run record has `seconds`, `outcome` and `p_member` of the request."""
    inputs = {"model": step.made.folder.name, "original": step.start.folder.name, "table": table.folder.name}
    inputs |= {"request": step.request.key, "before": step.before and step.before.key}
    key = shop.cache.key(inputs, "tmu.audit.by_table", "tmu.audit.answers")

    def build(folder: Path, run: dict[str, Any]) -> None:
        found = audited(shop, Sight.of(shop, step.request), step.made, step.start, table, step.before)
        p_member = float(found.audit.outer.request["unlearned"].member[0])
        run.update(seconds=found.seconds, outcome=found.audit.verdict.outcome, p_member=p_member)

    return shop.cache.make("audits", key, build)


def with_pairs(case: TableCase, pairs: int) -> TableCase:
    """The same case under fewer references."""
    return replace(case, **{name: part.of_pairs(pairs) for name, part in case.parts.items()})


def asked_by(case: TableCase, rows: np.ndarray, persons: np.ndarray) -> TableCase:
    """The same case for some of the forgotten records, int (n,), as if `persons` (n,) had asked."""
    return replace(case, forget=replace(case.forget.take(rows), subjects=persons))


def asked(shop: Workshop, sight: Sight, made: Made, known: Answers | None = None) -> Asked:
    """Ask a model once, only about those records that `known` lacks. Its fresh head is fitted on records that stay."""
    inner, inputs = shop.suite.references.inner, {"model": made.folder.name, "request": sight.request.key}
    key = shop.cache.key(inputs | {"inner": inner, "known": known is not None}, "tmu.audit.answers")
    parts = sight.examples(shop)

    def build(folder: Path, run: dict[str, Any]) -> None:
        net, everything = shop.net(made), _joined(list(parts.values()))
        started = clock(shop.device)
        answers = ask(net, everything, known, device=shop.device)
        tensors = {"keys": answers.keys, "logits": answers.logits, "features": answers.features}
        if inner:
            head = fresh_head(answers, parts["retain"], CONFIG.head_records, shop.suite.sample_seed)
            tensors["inner"] = head.logits(answers.features)
        run.update(seconds=clock(shop.device) - started)
        (folder / _SAID).write_bytes(save(tensors))

    folder = shop.cache.make("asked", key, build)
    stored = load_file(folder / _SAID)
    answers = Answers(stored["keys"], stored["logits"], stored["features"])
    logits, heads = (_by_part(parts, stored[name]) if name in stored else None for name in ("logits", "inner"))
    return Asked(answers, logits, heads, read_run(folder)["seconds"])


def _joined(parts: list[Examples]) -> Examples:
    return Examples(*(torch.cat([getattr(part, field) for part in parts]) for field in ("images", "labels", "keys")))


def _by_part(parts: dict[str, Examples], said: Tensor) -> dict[str, np.ndarray]:
    ends = np.cumsum([len(part) for part in parts.values()])[:-1]
    return dict(zip(parts, np.split(said.numpy(), ends), strict=True))


def _split(shop: Workshop, name: str) -> Examples:
    return shop.ground.test if name == "test" else shop.ground.train
