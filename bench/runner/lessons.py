"""What a method gets that works with references: their rows, and the twin that is fitted on them.

The one place where the bench meets `tmu/twin/reference_twin.py`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from bench.runner.engine import clock
from bench.runner.made import Forgotten, Help, Made
from bench.runner.references import read_table
from tmu.config import Seeds
from tmu.files import write_json
from tmu.references.rows import ReferenceRows
from tmu.twin.freeze import Tensors, empty, freeze, thaw
from tmu.unlearn.choose import random_choice
from tmu.unlearn.problem import Problem

if TYPE_CHECKING:
    from bench.runner.models import Workshop

POOL = 4096  # records of D_r from which the replay is drawn
CODE = ("tmu.twin.reference_twin", "tmu.references.rows")


@dataclass(frozen=True)
class Lessons:
    forget: ReferenceRows
    replay: ReferenceRows
    twin: Any
    lost: Tensor


@dataclass(frozen=True)
class Taught(Problem):
    lessons: Lessons | None = None


def pool_of(keys: Tensor, kept: Tensor, seeds: Seeds) -> Tensor:
    """The records that stand for D_r, bool (N,): at most `POOL` of those that are kept, drawn by their keys."""
    rows = kept.nonzero()[:, 0]
    drawn = random_choice(keys[rows], POOL, seeds.unlearn, "replay pool")
    return torch.zeros_like(kept).index_fill_(0, rows[drawn], True)


def lessons_of(shop: "Workshop", problem: Problem, forgotten: Forgotten, given: Help) -> Problem:
    """The problem with its lessons; as it is for a method that works without references."""
    if given.table is None:
        return problem
    rows = read_table(given.table.folder)["train"]
    twin = load_lessons(shop, given.lessons) if given.lessons else None
    lost = shares_lost(shop.ground.train.labels.cpu(), forgotten.gone, problem.classes)
    parts = (rows.aligned(part.keys.cpu()) for part in (problem.forget, problem.retain))
    return Taught(**vars(problem), lessons=Lessons(*parts, twin, lost))


def shares_lost(labels: Tensor, gone: Tensor, classes: int) -> Tensor:
    """The share of D that is gone, by class and in the last place of all: float32 (K+1,)."""
    counts = [torch.bincount(part, minlength=classes).float() for part in (labels[gone], labels)]
    gone_, all_ = (torch.cat([count, count.sum()[None]]) for count in counts)
    return gone_ / all_.clamp_min(1)


def fit_lessons(shop: "Workshop", seed: int, original: Made, table: Made) -> Made:
    """The twin of an original that is fitted on its references, made once."""
    from tmu.twin.reference_twin import fit_reference_twin

    suite, ground, seeds = shop.suite, shop.ground, Seeds.all(seed)
    inputs = shop.inputs(suite.train, seeds) | {"original": original.key, "table": table.key}
    key = shop.cache.key(inputs, *shop.net_code, *CODE)

    def build(folder: Path, run: dict[str, Any]) -> None:
        rows, fit, started = read_table(table.folder), shop.engine(key), clock(shop.device)
        net = shop.net(original).to(shop.device)
        asked = (net, ground.train, rows["train"], ground.holdout, rows["holdout"], suite.train, seeds, fit)
        twin, report = fit_reference_twin(*asked)
        run.update(seconds=clock(shop.device) - started + fit.earlier, report=report)
        tensors: Tensors = {}
        write_json(folder / "lessons.json", freeze(twin, tensors))
        (folder / "lessons.safetensors").write_bytes(save(tensors))

    return shop.made("lessons", key, build)


def load_lessons(shop: "Workshop", made: Made) -> Any:
    """The twin that `fit_lessons` kept."""
    tree = json.loads((made.folder / "lessons.json").read_text())
    return thaw(tree, load_file(made.folder / "lessons.safetensors"), lambda: empty(shop.build))
