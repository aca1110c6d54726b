"""`fit`: the one training loop of the project.

Data stay on the device as uint8; a batch is one gather. Pictures of a set larger than memory are read from files, some
batches ahead (`source.py`). There is no host synchronisation inside the loop except at epoch ends, and where `augment`
lists steps, whose draws the host reads. Deterministic: the same model, examples, config and seeds give the same weights
on the same machine class, also across a kill -9 (see `snapshot.py`).
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tmu.config import Seeds, TrainConfig
from tmu.errors import ConfigError, DataError, ModelError
from tmu.files import digest_of
from tmu.models.registry import head_of
from tmu.train.balance import balanced_order, class_weights
from tmu.train.ema import Average, copied, put
from tmu.train.examples import Examples, as_probabilities
from tmu.train.kept_memory import kept_memory
from tmu.train.lane import autocast, exact, own_draws, precision_for, seed_draws
from tmu.train.memory_format import arrange, arranged
from tmu.train.optimisers import only_trained, optimiser_of, set_rate
from tmu.train.order import batch_count, batches, epoch_order, stream, view_bits
from tmu.train.ranks import Ranks
from tmu.train.schedule import learning_rate
from tmu.train.snapshot import load_snapshot, save_snapshot
from tmu.train.source import Streamed, fed
from tmu.train.validation import HELD, accuracy_pct, best_epoch, is_over
from tmu.train.views import check_views, views_of
from tmu.train.winograd import fewer_products

Progress = Callable[[int, int, dict[str, float]], None]  # (steps done, steps in all, numbers of the last epoch)


@dataclass(frozen=True)
class Batch:
    """What an objective sees: views float (B, C, H, W) in 0..1, rows of the examples, their fields.

    done: the share of the run's steps that lie behind, 0 <= done < 1, for losses that change on the way.
    """

    views: Tensor
    rows: Tensor
    labels: Tensor
    targets: Tensor
    weights: Tensor | None
    done: float = 0.0


Objective = Callable[[nn.Module, Batch], tuple[Tensor, Tensor]]  # → (loss to minimise, logits (B, K))
# (model, steps done) → None; may change the weights in place. A function of these two alone: a resumed run calls it
# from the snapshot's step on, so what it remembered from earlier steps would be lost.
AfterStep = Callable[[nn.Module, int], None]
Sampler = Callable[[int], list[Tensor]]  # epoch → the rows of each of its batches; as many batches in every epoch


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


def soft_cross_entropy(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """mean_i w_i · CE(target_i, p_i): cross-entropy against probabilities, weights not normalised."""
    logits = model(batch.views).float()
    losses = -(batch.targets * logits.log_softmax(1)).sum(1)
    return (losses if batch.weights is None else losses * batch.weights).mean(), logits


@dataclass
class _Run:
    """The state of one `fit` call."""

    model: nn.Module
    examples: Examples
    classes: int
    config: TrainConfig
    seeds: Seeds
    objective: Objective
    after_step: AfterStep | None
    sampler: Sampler
    precision: str
    optimiser: torch.optim.Optimizer
    steps: int
    ranks: Ranks | None = None
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    view_bits: Tensor | None = None  # of the running epoch: hashing needs the host, so not in every step
    totals: Tensor | None = None  # (loss·n, correct, n) of the running epoch, on the device
    held: Examples | None = None  # of the hold-out, looked at after each epoch
    average: Average | None = None
    best: dict[str, Tensor] | None = None  # weights of the best epoch so far, with early stopping
    seconds_held: float = 0.0
    stepped: Callable[[], None] = lambda: None  # called after each step


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
    if len(examples) < 2:
        raise DataError(f"There are {len(examples)} records to train on.", "Training needs at least two.")
    check_views(config, examples.images.shape[1])
    if config.early_stop and not (held and len(held)):
        raise ConfigError("There is no hold-out to stop early by.", "Set `early_stop` to null, or import a hold-out.")
    device = torch.device(device)
    arrange(model, device).train()
    with exact(threads), kept_memory() as stepped, own_draws(device), only_trained(model, config):
        run = _prepare(model, examples.to(device), config, seeds, (objective, after_step, sampler), device)
        run.stepped = stepped
        run.held = held.to(device) if held and len(held) else None
        if ranks:
            ranks.refuse_small(min(len(rows) for rows in run.sampler(0)))
            run.ranks, snapshot_seconds = ranks, inf if ranks.rank else snapshot_seconds
        fingerprint = _fingerprint(run) if snapshot else ""
        resumed = _resume(run, snapshot, fingerprint) if snapshot else 0
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


def _prepare(
    model: nn.Module,
    examples: Examples,
    config: TrainConfig,
    seeds: Seeds,
    calls: tuple[Objective, AfterStep | None, Sampler | None],
    device: torch.device,
) -> _Run:
    if config.balance == "weights":
        weights = class_weights(examples.labels)
        examples = replace(examples, weights=weights if examples.weights is None else weights * examples.weights)
    if examples.noise is not None and not examples.noise.any():
        examples = replace(examples, noise=None)  # nothing is drawn for it
    objective, after_step, given = calls
    sampler = given or (lambda epoch: batches(_order(examples, config, seeds.order, epoch), config.batch_size))
    steps = config.epochs * (len(sampler(0)) if given else batch_count(len(examples), config.batch_size))
    classes, precision = head_of(model).out_features, precision_for(config.precision, model, examples.images[:1])
    optimiser = optimiser_of(model, config)
    run = _Run(model, examples, classes, config, seeds, objective, after_step, sampler, precision, optimiser, steps)
    run.average = Average(model, config.ema) if config.ema else None
    return run


def _order(examples: Examples, config: TrainConfig, seed: int, epoch: int) -> Tensor:
    if config.balance == "sampling":
        return balanced_order(examples.keys, examples.labels, seed, epoch)
    return epoch_order(examples.keys, seed, epoch)


def _loop(
    run: _Run, snapshot: Path | None, snapshot_seconds: float, fingerprint: str, progress: Progress | None
) -> None:
    per_epoch = run.steps // run.config.epochs
    saved = time.monotonic()
    while run.step < run.steps and not is_over(run.history, run.config.early_stop):
        epoch, first = divmod(run.step, per_epoch)
        order = _beside(run.sampler(epoch), run.examples.labels.device)
        run.view_bits = view_bits(run.examples.keys, run.seeds.augment, epoch)
        for share, rows, images in _fed(run, order[first:]):
            _one_step(run, rows, images, share)
            run.stepped()
            # never between an epoch's last step and its closing: a resumed run would miss that entry
            if snapshot and run.step % per_epoch and time.monotonic() - saved >= snapshot_seconds:
                _save(run, snapshot, fingerprint)
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


def _fed(run: _Run, order: list[Tensor]) -> Iterator[tuple[float, Tensor, Tensor]]:
    """Of each batch the rows and pictures that this process computes, and the share of the batch that they are."""
    parts = [run.ranks.part(rows) if run.ranks else rows for rows in order]
    for whole, (rows, images) in zip(order, fed(run.examples.images, parts), strict=True):
        yield len(rows) / len(whole), rows, images


def _one_step(run: _Run, rows: Tensor, images: Tensor, share: float) -> None:
    """share: of the batch, that these rows are; below 1 in one of several ranks."""
    set_rate(run.optimiser, learning_rate(run.config, run.step, run.steps))
    views = _views(run, rows, images)
    seed_draws(run.examples.labels.device, stream(run.seeds.augment, "layers", run.step))
    weights = None if run.examples.weights is None else run.examples.weights[rows]
    batch = Batch(views, rows, run.examples.labels[rows], _targets(run, rows), weights, run.step / run.steps)
    with autocast(views.device, run.precision):
        loss, logits = run.objective(run.model, batch)
    run.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    if run.ranks:
        run.ranks.average(run.model, share)
    if run.config.clip_norm:
        nn.utils.clip_grad_norm_(run.model.parameters(), run.config.clip_norm)
    run.optimiser.step()
    with torch.no_grad():
        correct = (logits.argmax(1) == batch.labels).sum()
        number = torch.full_like(correct, len(rows), dtype=torch.float64)  # filled on the device: no copy, no wait
        seen = torch.stack([loss.detach().double() * len(rows), correct.double(), number])
        seen = run.ranks.total(seen) if run.ranks else seen
        run.totals = seen if run.totals is None else run.totals + seen
    run.step += 1
    if run.after_step is not None:
        run.after_step(run.model, run.step)
    if run.average is not None:
        run.average.update(run.step)


def _views(run: _Run, rows: Tensor, images: Tensor) -> Tensor:
    """The batch as the model sees it: scaled to 0..1, augmented by key, with input noise where asked."""
    assert run.view_bits is not None  # drawn when the epoch began
    views = views_of(images, run.view_bits[rows], run.config)
    if run.examples.noise is not None:
        sigma = run.examples.noise[rows][:, None, None, None]
        views = (views + sigma * _gaussian(views, stream(run.seeds.unlearn, "noise", run.step))).clamp(0, 1)
    return arranged(views, run.model)


def _targets(run: _Run, rows: Tensor) -> Tensor:
    """What the batch is taught (B, K); made for each batch, since those of all records take more than the pictures."""
    given, smoothing = run.examples.targets, run.config.label_smoothing
    if given is not None:
        targets = given[rows]
    else:
        targets = as_probabilities(run.examples.labels[rows], run.classes)
    if smoothing:
        sure = targets.amax(1, keepdim=True) == 1  # labels are smoothed, probabilities are meant as they are
        targets = torch.where(sure, targets * (1 - smoothing) + smoothing / targets.shape[1], targets)
    return targets


def _gaussian(like: Tensor, start: int) -> Tensor:
    generator = torch.Generator(like.device).manual_seed(start & (2**63 - 1))
    return torch.randn(like.shape, generator=generator, device=like.device)


def _close_epoch(run: _Run, epoch: int) -> None:
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


def _look(run: _Run, held: Examples) -> None:
    """Tell the accuracy on the hold-out of the weights that would be kept, and keep those of the best epoch."""
    with run.average.shown() if run.average else contextlib.nullcontext():
        run.history[-1][HELD] = accuracy_pct(run.model, held, run.config.batch_size)
        if run.config.early_stop and best_epoch(run.history) == len(run.history):
            run.best = copied(run.model.state_dict())


def _keep(run: _Run) -> None:
    """Give the model the weights that the recipe keeps: of the best epoch, the average, or the last."""
    kept = run.best or (run.average.tensors if run.average else None)
    if kept is not None:
        put(run.model.state_dict(), kept)


def _fingerprint(run: _Run) -> str:
    """Names this very run by all that enters it, so that another run's snapshot is never resumed.

    The number of threads enters too: sums in another order are other bytes. Objectives and hooks are told apart
    by name alone, samplers by their first batches.
    """
    sets = {"examples": run.examples} | ({} if run.held is None else {"held": run.held})
    given = {f"{kind}.{name}": value for kind, each in sets.items() for name, value in vars(each).items()}
    given = {name: value for name, value in given.items() if value is not None}
    first = run.sampler(0)
    given |= {"first batches": torch.cat(first), "sizes": torch.tensor([len(rows) for rows in first])}
    given |= {f"model.{name}": value for name, value in run.model.state_dict().items()}
    tensors = {name: _sha256(value) for name, value in given.items()}
    calls = [getattr(part, "__qualname__", type(part).__qualname__) for part in (run.objective, run.after_step)]
    lane = [run.precision, run.examples.labels.device.type, torch.get_num_threads()]
    lane += [run.ranks.world] if run.ranks else []
    return digest_of([run.config.digest(), run.seeds.digest(), lane, calls, tensors])


def _sha256(value: Tensor | Streamed) -> str:
    if isinstance(value, Streamed):
        return value.digest()
    return hashlib.sha256(value.detach().cpu().contiguous().view(-1).numpy().data).hexdigest()


def _save(run: _Run, path: Path, fingerprint: str) -> None:
    totals = None if run.totals is None else run.totals.tolist()
    counters: dict[str, Any] = {"fingerprint": fingerprint, "step": run.step, "history": run.history, "totals": totals}
    kept = {"average": run.average.tensors if run.average else {}, "best": run.best or {}}
    save_snapshot(path, run.model, run.optimiser, counters, kept)


def _resume(run: _Run, path: Path, fingerprint: str) -> int:
    counters, kept = load_snapshot(path, run.model, run.optimiser, fingerprint)
    if counters is None:
        return 0
    if run.average:
        put(run.average.tensors, kept["average"])
    if kept.get("best"):
        run.best = copied(run.model.state_dict())
        put(run.best, kept["best"])
    run.step, run.history = counters["step"], counters["history"]
    if counters["totals"] is not None:
        run.totals = torch.tensor(counters["totals"], dtype=torch.float64, device=run.examples.labels.device)
    return run.step
