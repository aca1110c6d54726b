"""What a method gets that works with references: their rows, and the twin that is fitted on them.

The one place where the bench meets `tmu/twin/rates.py`; sizes are those of the product (`tmu/steps/`).
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from bench.runner.engine import clock
from bench.runner.made import Forgotten, Help, Made
from bench.runner.references import acquainted_with, read_table
from bench.runner.shop import Shop
from tmu.config import Seeds
from tmu.files import write_json
from tmu.references.rows import ReferenceRows
from tmu.steps.fit_reference_twin import HELD, RECORDS
from tmu.steps.lessons import POOL
from tmu.train.order import hash_keys, stream
from tmu.twin.freeze import Tensors, empty, freeze, thaw
from tmu.twin.rates import TwinProblems, fit_reference_twin
from tmu.twin.reference_twin import ReferenceTwin
from tmu.unlearn.choose import random_choice
from tmu.unlearn.problem import Lessons, Problem

PLAIN_POOL = 4096  # records of D_r from which a method without a plan draws its replay
CODE = ("tmu.twin.rates", "tmu.references.rows")


def pool_of(keys: Tensor, kept: Tensor, seeds: Seeds, size: int = PLAIN_POOL) -> Tensor:
    """The records that stand for D_r, bool (N,): at most `size` of those that are kept, drawn by their keys."""
    rows = kept.nonzero()[:, 0]
    drawn = random_choice(keys[rows], size, seeds.unlearn, "replay pool")
    return torch.zeros_like(kept).index_fill_(0, rows[drawn], True)


def pool_size(shop: Shop, forgotten: Forgotten, given: Help) -> int:
    """How large the pool is for this deletion."""
    if given.lessons is None:
        return PLAIN_POOL
    return POOL * load_lessons(shop, given.lessons).plan(int(forgotten.now.sum())).draws


def known_rows(given: Help) -> ReferenceRows | None:
    """The references' outputs of D; None for a method that works without them."""
    return None if given.table is None else read_table(given.table.folder)["train"]


def with_lessons(
    problem: Problem, rows: ReferenceRows | None, forgotten: Forgotten, labels: Tensor, twin: ReferenceTwin | None
) -> Problem:
    """The problem with its lessons; as it is for a method that works without references. labels: (N,) of D."""
    if rows is None:
        return problem
    parts = (rows.aligned(part.keys.cpu()) for part in (problem.forget, problem.retain))
    return replace(problem, lessons=Lessons(*parts, twin, shares_lost(labels, forgotten, problem.classes)))


def shares_lost(labels: Tensor, forgotten: Forgotten, classes: int) -> Tensor:
    """The share of what is left of D that goes now, by class and in the last place of all: float32 (K+1,)."""
    there = forgotten.now | ~forgotten.gone
    counts = [torch.bincount(labels[part], minlength=classes).float() for part in (forgotten.now, there)]
    gone, before = (torch.cat([count, count.sum()[None]]) for count in counts)
    return gone / before.clamp_min(1)


def fit_lessons(shop: Shop, seed: int, original: Made, table: Made) -> Made:
    """The twin of an original that is fitted on its references, made once."""
    seeds = Seeds.all(seed)
    inputs = shop.inputs(shop.suite.train, seeds) | {"original": original.key, "table": table.key}
    key = shop.cache.key(inputs, *shop.net_code, *CODE)

    def build(folder: Path, run: dict[str, Any]) -> None:
        fit, started = shop.engine(key), clock(shop.device)
        twin, report = fit_reference_twin(_problems(shop, original, table, seeds, fit))
        run.update(seconds=clock(shop.device) - started + fit.earlier, report=report)
        tensors: Tensors = {}
        write_json(folder / "lessons.json", freeze(twin, tensors))
        (folder / "lessons.safetensors").write_bytes(save(tensors))

    return shop.made("lessons", key, build)


def load_lessons(shop: Shop, made: Made) -> ReferenceTwin:
    """The twin that `fit_lessons` kept."""
    tree = json.loads((made.folder / "lessons.json").read_text())
    return thaw(tree, load_file(made.folder / "lessons.safetensors"), lambda: empty(shop.build))


def _problems(shop: Shop, original: Made, table: Made, seeds: Seeds, fit: Any) -> TwinProblems:
    ground, rows = shop.ground, read_table(table.folder)
    people = ground.people["train"]
    some, on = some_people(people, RECORDS, seeds.unlearn), shop.device
    held = torch.arange(len(ground.holdout))[:: -(-len(ground.holdout) // HELD)]
    known = acquainted_with(ground.people["holdout"][held], people, rows["train"].seen)
    return TwinProblems(
        shop.net(original).to(shop.device),
        ground.train.take(some.to(on)),
        rows["train"].take(some),
        people[some],
        ground.holdout.take(held.to(on)),
        rows["holdout"].take(held),
        shop.suite.train,
        seeds,
        fit,
        shop.device,
        None if known is None else torch.from_numpy(known),
    )


def some_people(people: Tensor, records: int, seed: int, purpose: str = "twin problems") -> Tensor:
    """So many whole people, drawn by their keys, that they have about `records` records, bool (N,)."""
    named, counts = people.unique(return_counts=True)
    order = torch.from_numpy(hash_keys(named, stream(seed, purpose)).argsort(kind="stable"))
    before = counts[order].cumsum(0) - counts[order]
    return torch.isin(people, named[order][before < records])
