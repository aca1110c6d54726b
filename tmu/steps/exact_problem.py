"""What a method of ridge heads gets: forget set and statistics; the retain set only where they cannot be used."""

from collections.abc import Callable

import numpy as np
import torch

from tmu.config import Seeds
from tmu.data.records import SPLITS
from tmu.data.store import RecordStore
from tmu.errors import ConfigError, RequestError
from tmu.models.bundle import Arch
from tmu.steps.cases import UnlearnCase
from tmu.steps.loading import examples, forget_keys, fresh_model, load_model, open_store, retired_with
from tmu.steps.ridge_statistics import ANEW, refuse_trained_start, usable
from tmu.steps.starts import start_of
from tmu.steps.suppress import refuse_suppressed
from tmu.train import Examples, Fit
from tmu.train.lane import pick_device
from tmu.unlearn.problem import Problem
from tmu.workspace import Workspace


def exact_problem(
    workspace: Workspace, case: UnlearnCase, fit: Callable[..., Fit]
) -> tuple[Problem, Arch, dict[str, str]]:
    """The problem, the architecture, and a note on why the statistics are computed anew, where they are.

    Raises RequestError where the forget set holds no training record, ConfigError where a class goes as a whole or the
    model's network was trained, DataError where a picture that was erased before is among the records that are read.
    """
    if retired_with(workspace, case.forget):
        raise ConfigError("`exact-head` cannot remove an output, and a class goes as a whole.", "Use `retrain`.")
    refuse_trained_start(workspace, case.original, case.params)
    store, keys = open_store(workspace, case.data), forget_keys(workspace, case.forget)
    model, arch = load_model(workspace, case.original)
    forget = examples(store, "train", only=keys)
    if not len(forget):
        raise RequestError("No training record is to be forgotten.", "There is nothing to unlearn.")
    counts = _by_class(store)
    statistics, why = usable(workspace, case.statistics, model, counts, case.params.train.ridge)
    if statistics is None:
        refuse_suppressed(workspace, store, keys)
    seeds = Seeds.all(case.params.seed)
    problem = Problem(
        model=model,
        forget=forget,
        retain=_none_of(forget) if statistics else examples(store, "train", without=keys),
        classes=len(arch.classes),
        recipe=case.params.train,
        seeds=seeds,
        fit=fit,
        fresh=lambda: fresh_model(arch, seeds.init, start_of(workspace, case.params)),
        statistics=statistics,
        device=pick_device(workspace.settings.device),
    )
    return problem, arch, {ANEW: why} if why else {}


def _none_of(records: Examples) -> Examples:
    return records.take(torch.arange(0))


def _by_class(store: RecordStore) -> torch.Tensor:
    """Training records by output (K,); no image is read."""
    index = store.index()
    labels = store.info.outputs[index.labels[index.splits == SPLITS.index("train")]]
    return torch.from_numpy(np.bincount(labels[labels >= 0], minlength=len(store.info.live)))
