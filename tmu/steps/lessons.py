"""What a method gets that works with references: forget set, replay pool and their rows. Nothing passes over D."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tmu.config import Seeds
from tmu.data.records import SPLITS
from tmu.data.store import RecordStore
from tmu.errors import RequestError
from tmu.models.bundle import Arch
from tmu.steps.cases import UnlearnCase
from tmu.steps.fit_reference_twin import load_reference_twin, shards_with
from tmu.steps.loading import examples_at, forget_keys, fresh_model, load_model, open_store
from tmu.steps.read_references import read_info, read_rows
from tmu.steps.starts import start_of
from tmu.train import Fit
from tmu.train.lane import pick_device
from tmu.unlearn.problem import Lessons, Problem
from tmu.workspace import Workspace

POOL = 2  # records in the replay pool for each that is drawn from it


def referring_problem(workspace: Workspace, case: UnlearnCase, fit: Callable[..., Fit]) -> tuple[Problem, Arch]:
    """The problem of a case with twin and references.

    The replay pool is whole shards, in an order of the seed. Raises RequestError where the forget set holds no training
    record, DataError where the table has no rows of one.
    """
    assert case.twin is not None and case.references is not None
    seeds, twin = Seeds.all(case.params.seed), load_reference_twin(workspace, case.twin)
    store = open_store(workspace, case.data)
    index = store.index()
    gone = index.find_records(forget_keys(workspace, case.forget))[0]
    train = index.splits == SPLITS.index("train")
    forgotten = gone[train[gone]]
    if not len(forgotten):
        raise RequestError("No training record is to be forgotten.", "There is nothing to unlearn.")
    wanted = POOL * twin.plan(len(forgotten)).draws + len(forgotten)
    drawn = shards_with(store, read_info(workspace, case.references)["buckets"], wanted, seeds.unlearn)
    pool = np.isin(index.buckets, drawn) & train
    pool[gone] = False
    model, arch = load_model(workspace, case.original)
    forget, replay = examples_at(store, forgotten), examples_at(store, np.flatnonzero(pool))
    buckets = sorted({*drawn, *np.unique(index.buckets[forgotten]).tolist()})
    rows = read_rows(workspace, case.references, buckets)
    lessons = Lessons(rows.aligned(forget.keys), rows.aligned(replay.keys), twin, _lost(store, forgotten, train))
    problem = Problem(
        model=model,
        forget=forget,
        retain=replay,
        classes=len(arch.classes),
        recipe=case.params.train,
        seeds=seeds,
        fit=fit,
        fresh=lambda: fresh_model(arch, seeds.init, start_of(workspace, case.params)),
        lessons=lessons,
        device=pick_device(workspace.settings.device),
    )
    return problem, arch


def _lost(store: RecordStore, forgotten: np.ndarray, train: np.ndarray) -> Tensor:
    """The share of D that goes, by class and in the last place of all: float32 (K+1,)."""
    labels, classes = store.info.outputs[store.index().labels], len(store.info.live)
    counts = [np.bincount(labels[part][labels[part] >= 0], minlength=classes) for part in (forgotten, train)]
    gone, there = (np.append(each, each.sum()).astype(np.float32) for each in counts)
    return torch.from_numpy(gone / np.maximum(there, 1))
