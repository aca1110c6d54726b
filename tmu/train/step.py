"""One optimiser step of a run."""

import torch
from torch import Tensor, nn

from tmu.train.batch import Batch
from tmu.train.examples import as_probabilities
from tmu.train.lane import autocast, seed_draws
from tmu.train.memory_format import arranged
from tmu.train.optimisers import set_rate
from tmu.train.order import stream
from tmu.train.run import Run
from tmu.train.schedule import learning_rate
from tmu.train.views import views_of


def one_step(run: Run, rows: Tensor, images: Tensor, share: float) -> None:
    """Learn from these rows of a batch, and count what was seen of them.

    share: of the batch, that these rows are; below 1 in one of several ranks.
    """
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


def _views(run: Run, rows: Tensor, images: Tensor) -> Tensor:
    """The batch as the model sees it: scaled to 0..1, augmented by key, with input noise where asked."""
    assert run.view_bits is not None  # drawn when the epoch began
    views = views_of(images, run.view_bits[rows], run.config)
    if run.examples.noise is not None:
        sigma = run.examples.noise[rows][:, None, None, None]
        views = (views + sigma * gaussian(views, stream(run.seeds.unlearn, "noise", run.step))).clamp(0, 1)
    return arranged(views, run.model)


def _targets(run: Run, rows: Tensor) -> Tensor:
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


def gaussian(like: Tensor, start: int) -> Tensor:
    """Standard normal numbers of that shape, drawn on its device from `start` alone."""
    generator = torch.Generator(like.device).manual_seed(start & (2**63 - 1))
    return torch.randn(like.shape, generator=generator, device=like.device)
