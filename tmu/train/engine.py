"""`fit`: the one training loop of the project.

Data stay on the device as uint8; a batch is one gather. Pictures of a set larger than memory are read from files, some
batches ahead (`source.py`). There is no host synchronisation inside the loop except at epoch ends, and where `augment`
lists steps, whose draws the host reads. Deterministic: the same model, examples, config and seeds give the same weights
on the same machine class, also across a kill -9 (see `snapshot.py`).
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path

import torch
from torch import Tensor, nn

from tmu.config import Seeds, TrainConfig
from tmu.errors import ConfigError, DataError, ModelError
from tmu.train.batch import AfterStep, Objective, Sampler, soft_cross_entropy
from tmu.train.ema import copied, put
from tmu.train.examples import Examples
from tmu.train.kept_memory import kept_memory
from tmu.train.lane import exact, own_draws
from tmu.train.memory_format import arrange
from tmu.train.optimisers import only_trained
from tmu.train.order import view_bits
from tmu.train.ranks import Ranks
from tmu.train.resume import fingerprint_of, resume, save
from tmu.train.run import Run, prepare
from tmu.train.source import fed
from tmu.train.step import one_step
from tmu.train.validation import HELD, accuracy_pct, best_epoch, is_over
from tmu.train.views import check_views
from tmu.train.winograd import fewer_products

Progress = Callable[[int, int, dict[str, float]], None]  # (steps done, steps in all, numbers of the last epoch)


@dataclass(frozen=True)
class Fit:
    """What a run reports: one entry an epoch, steps, seconds without those of looking at the hold-out.

    An entry holds `epoch`, `loss` and `accuracy_pct` on the views and, with a hold-out, `accuracy_holdout_pct`.
    best_epoch: the one whose weights were kept, with early stopping.
    """

    history: list[dict[str, float]]
    steps: int
    seconds_train: float
    precision: str
    resumed_at: int = 0
    best_epoch: int | None = None


def fit(
    model: nn.Module,
    examples: Examples,
    config: TrainConfig,
    seeds: Seeds,
    *,
    objective: Objective = soft_cross_entropy,
    after_step: AfterStep | None = None,
    sampler: Sampler | None = None,
    held: Examples | None = None,
    device: torch.device | str = "cpu",
    threads: int | None = None,
    snapshot: Path | None = None,
    snapshot_seconds: float = 10.0,
    progress: Progress | None = None,
    ranks: Ranks | None = None,
) -> Fit:
    """Train `model` in place (and leave it in evaluation mode on `device`).

    `after_step` is called after every optimiser step, before any snapshot of it, with the model in training mode.
    `sampler` draws the batches of an epoch, in place of one pass over all records; a record may come in several.
    `held` are records of the hold-out: the accuracy on them is told after each epoch, and early stopping needs them.
    `snapshot` names the file that makes the run resumable; it is removed when the run is done. `ranks`: this process is
    one of several that train the model together (`ranks.py`); the first of them writes the snapshots. Raises DataError
    for an empty set, ModelError where the loss is no longer finite, ConfigError for a recipe that does not fit.
    """
    _refuse_misfit(examples, config, held)
    device = torch.device(device)
    arrange(model, device).train()
    with exact(threads), kept_memory() as stepped, own_draws(device), only_trained(model, config):
        run = prepare(model, examples.to(device), config, seeds, (objective, after_step, sampler))
        run.stepped = stepped
        run.held = held.to(device) if held and len(held) else None
        if ranks:
            ranks.refuse_small(min(len(rows) for rows in run.sampler(0)))
            run.ranks, snapshot_seconds = ranks, inf if ranks.rank else snapshot_seconds
        fingerprint = fingerprint_of(run) if snapshot else ""
        resumed = resume(run, snapshot, fingerprint) if snapshot else 0
        started = time.perf_counter()
        with fewer_products(model, run.precision, device):
            _loop(run, snapshot, snapshot_seconds, fingerprint, progress)
        _keep(run)
        seconds = time.perf_counter() - started - run.seconds_held
    model.eval()
    if snapshot:
        snapshot.unlink(missing_ok=True)
    best = best_epoch(run.history) if config.early_stop else None
    return Fit(run.history, run.step, seconds, run.precision, resumed, best)


def _refuse_misfit(examples: Examples, config: TrainConfig, held: Examples | None) -> None:
    """Raise DataError or ConfigError where the recipe cannot be carried out on these records."""
    if len(examples) < 2:
        raise DataError(f"There are {len(examples)} records to train on.", "Training needs at least two.")
    check_views(config, examples.images.shape[1])
    if config.early_stop and not (held and len(held)):
        raise ConfigError("There is no hold-out to stop early by.", "Set `early_stop` to null, or import a hold-out.")


def _loop(
    run: Run, snapshot: Path | None, snapshot_seconds: float, fingerprint: str, progress: Progress | None
) -> None:
    per_epoch = run.steps // run.config.epochs
    saved = time.monotonic()
    while run.step < run.steps and not is_over(run.history, run.config.early_stop):
        epoch, first = divmod(run.step, per_epoch)
        order = _beside(run.sampler(epoch), run.examples.labels.device)
        run.view_bits = view_bits(run.examples.keys, run.seeds.augment, epoch)
        for share, rows, images in _fed(run, order[first:]):
            one_step(run, rows, images, share)
            run.stepped()
            # never between an epoch's last step and its closing: a resumed run would miss that entry
            if snapshot and run.step % per_epoch and time.monotonic() - saved >= snapshot_seconds:
                save(run, snapshot, fingerprint)
                saved = time.monotonic()
            if progress and run.step % 8 == 0:
                progress(run.step, run.steps, run.history[-1] if run.history else {})
        _close_epoch(run, epoch)
        if progress:
            progress(run.step, run.steps, run.history[-1])


def _beside(order: list[Tensor], device: torch.device) -> list[Tensor]:
    """The batches' rows where the records are, by one copy: each step would wait for the device to get its own."""
    if order[0].device == device:
        return order
    return list(torch.cat(order).to(device).split([len(rows) for rows in order]))


def _fed(run: Run, order: list[Tensor]) -> Iterator[tuple[float, Tensor, Tensor]]:
    """Of each batch the rows and pictures that this process computes, and the share of the batch that they are."""
    parts = [run.ranks.part(rows) if run.ranks else rows for rows in order]
    for whole, (rows, images) in zip(order, fed(run.examples.images, parts), strict=True):
        yield len(rows) / len(whole), rows, images


def _close_epoch(run: Run, epoch: int) -> None:
    assert run.totals is not None  # an epoch has a step
    loss, correct, n = run.totals.tolist()
    if loss != loss or loss in (float("inf"), float("-inf")):
        raise ModelError(f"The loss is no longer finite in epoch {epoch + 1}.", "Lower `lr` or set `clip_norm`.")
    run.history.append({"epoch": epoch + 1, "loss": loss / n, "accuracy_pct": 100 * correct / n})
    run.totals = None
    if run.held is not None:
        started = time.perf_counter()
        _look(run, run.held)
        run.seconds_held += time.perf_counter() - started


def _look(run: Run, held: Examples) -> None:
    """Tell the accuracy on the hold-out of the weights that would be kept, and keep those of the best epoch."""
    with run.average.shown() if run.average else contextlib.nullcontext():
        run.history[-1][HELD] = accuracy_pct(run.model, held, run.config.batch_size)
        if run.config.early_stop and best_epoch(run.history) == len(run.history):
            run.best = copied(run.model.state_dict())


def _keep(run: Run) -> None:
    """Give the model the weights that the recipe keeps: of the best epoch, the average, or the last."""
    kept = run.best or (run.average.tensors if run.average else None)
    if kept is not None:
        put(run.model.state_dict(), kept)
