"""Simulated references and models: records are easy or hard, people differ, and who learned a record is surer of it.

A model's margin on a record = ease + what it makes of this person + its own noise + lift, where it learned the record.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from tmu.audit.by_table import Part, TableCase
from tmu.config import AuditConfig
from tmu.references.rows import ReferenceRows

CLASSES = 5


@dataclass(frozen=True, eq=False)
class Records:
    """N records: who they are of, how easy, how much learning them lifts, which class."""

    subjects: np.ndarray
    ease: np.ndarray
    lift: np.ndarray
    labels: np.ndarray
    split: np.ndarray  # (N, K): how what is left of the probability is shared

    def __len__(self) -> int:
        return len(self.subjects)


@dataclass(frozen=True)
class World:
    """alike: standard deviation of what a model makes of a person. full: nats by which all of D beats half of it."""

    seed: int = 0
    pairs: int = 4
    alike: float = 0.0
    lift: float = 1.0
    full: float = 0.5
    per_person: int = 10

    def people(self, first: int, count: int, records: int | None = None) -> Records:
        """`count` people with as many records each, numbered from `first`."""
        rng = np.random.default_rng([self.seed, first])
        subjects = np.repeat(np.arange(first, first + count), records or self.per_person)
        ease = rng.normal(2.5, 2.0, len(subjects))
        lift = self.lift * (0.3 + np.maximum(0.0, 4.0 - ease))
        labels = rng.integers(0, CLASSES, len(subjects))
        split = rng.dirichlet(np.ones(CLASSES), len(subjects))
        return Records(subjects, ease, lift, labels, split)

    def margins(self, records: Records, model: int, learned: np.ndarray, lifted: float = 1.0) -> np.ndarray:
        """What model number `model` says; `learned` bool (N,). Models from 1000 on learned all of D."""
        rng = np.random.default_rng([self.seed, 77, model, int(records.subjects[0])])
        people, person = np.unique(records.subjects, return_inverse=True)
        own = rng.normal(0, self.alike, len(people))[person]
        noise = rng.normal(0, 0.8 + 0.2 * np.maximum(0.0, 2.0 - records.ease), len(records))
        return records.ease + own + noise + lifted * records.lift * learned + self.full * (model >= 1000)

    def part(self, records: Records, unlearned: np.ndarray, original: np.ndarray, known: bool = True) -> Part:
        """With the references' rows; margins of the two models. known: whether references may learn the people."""
        rng = np.random.default_rng([self.seed, 5, int(records.subjects[0])])
        side = rng.integers(0, 2, (int(records.subjects.max()) + 1, self.pairs))[records.subjects]
        seen = np.stack([side == 0, side == 1], 2).reshape(len(records), -1) & known
        nets = [self.margins(records, net, seen[:, net]) for net in range(2 * self.pairs)]
        logp = np.stack([_logits(records, each) for each in nets], 1)
        rows = ReferenceRows(
            torch.from_numpy(rng.integers(-(2**62), 2**62, len(records))),
            torch.from_numpy(records.labels),
            torch.from_numpy(seen),
            torch.from_numpy(logp).log_softmax(2).clamp_min(-12).float(),
        )
        logits = {"unlearned": _logits(records, unlearned), "original": _logits(records, original)}
        return Part(logits, rows, records.subjects)

    def case(self, persons: int, records: int, model: int = 1001, left: float = 0.0, **changes) -> TableCase:
        """A request; `left`: share of the lift that the unlearned model still has on the forgotten records."""
        forget, retain = self.people(0, persons, records), self.people(10_000, 100)
        test = self.people(100_000, 1500, 1)
        parts = [
            self.part(each, self.margins(each, model, ones, share), self.margins(each, 1000, ones), known)
            for each, ones, share, known in (
                (forget, np.ones(len(forget), bool), left, True),
                (retain, np.ones(len(retain), bool), 1.0, True),
                (test, np.zeros(len(test), bool), 0.0, False),
            )
        ]
        return TableCase(*parts, AuditConfig(bootstrap=200), **changes)


def same_model(case: TableCase) -> TableCase:
    """Doing nothing: the unlearned model's outputs are the original's."""
    parts = {
        name: replace(part, logits=dict.fromkeys(part.logits, part.logits["original"]))
        for name, part in case.parts.items()
    }
    return replace(case, **parts)


def with_logits(part: Part, change) -> Part:
    """A part on which the unlearned model answers otherwise."""
    return replace(part, logits={**part.logits, "unlearned": change(part.logits["unlearned"].copy())})


def with_inner(case: TableCase, unlearned: str) -> TableCase:
    """Fresh heads that answer as the models do; the unlearned one's as `unlearned` says."""
    parts = {}
    for name, part in case.parts.items():
        inner = {"unlearned": part.logits[unlearned], "original": part.logits["original"]}
        parts[name] = replace(part, inner=inner, rows=replace(part.rows, inner=part.rows.logp))
    return replace(case, **parts)


def _logits(records: Records, margins: np.ndarray) -> np.ndarray:
    """Logits (N, K), float32, of which the true class has these margins."""
    logits = np.log(records.split + 1e-3)
    rows = np.arange(len(records))
    logits[rows, records.labels] = -np.inf
    rest = np.log(np.exp(logits).sum(1))
    logits[rows, records.labels] = rest + margins
    return logits.astype(np.float32)
