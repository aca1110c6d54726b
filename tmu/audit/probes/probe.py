"""All probes of one model: a fresh head on its body, relearning, residual knowledge.

Relearning trains a copy on a few forget records with SGD at a small constant rate until their accuracy is within
alpha = .02 of the original's. Rate and alpha are smaller than those in use (the recipe's, .05): at .05 a gold of
Fashion-MNIST is there at once, and there is nothing to count. Only the comparison with the golds counts, which relearn
alike.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from tmu.audit.probes.head_refit import head_refit
from tmu.audit.probes.probed import Probed
from tmu.audit.probes.relearn import Relearned, relearn_steps
from tmu.audit.probes.residual import residual_hits
from tmu.config import AuditConfig, Seeds, TrainConfig
from tmu.train import Examples, logits_of
from tmu.train.fresh_head import some
from tmu.train.lane import exact
from tmu.train.memory_format import moved

RESIDUAL_DRAWS = 16
ALPHA = 0.02
_RELEARNING = TrainConfig(
    epochs=1, batch_size=32, lr=0.003, momentum=0.9, weight_decay=0.0, schedule="constant", precision="fp32"
)


def probe(
    model: nn.Module,
    original: nn.Module,
    forget: Examples,
    retain: Examples,
    config: AuditConfig,
    seed: int,
    fit: Callable[..., Any],
    device: torch.device | str = "cpu",
) -> Probed:
    """Probe `model`, which is left as it was. `original` sets the accuracy that relearning aims at.

    `fit`: the engine, bound to device and threads. Raises DataError for an empty forget or retain set.
    """
    logits = head_refit(
        model, forget, retain, records=config.head_records, seed=seed, batch_size=config.batch_size, device=device
    )
    few = some(forget, config.probe_records, seed, "probed records")
    return Probed(
        head_logits=logits.numpy(),
        residual_hits=_residual(model, few, seed, device),
        residual_draws=RESIDUAL_DRAWS,
        relearned=_relearn(model, original, few, config.relearn_steps, seed, fit, device),
    )


def _residual(model: nn.Module, few: Examples, seed: int, device: torch.device | str) -> Any:
    images, model = few.images[:].to(device), moved(model, device).eval()
    with exact():
        return residual_hits(model, images, few.labels, few.keys, seed=seed, draws=RESIDUAL_DRAWS).numpy()


def _relearn(
    model: nn.Module,
    original: nn.Module,
    few: Examples,
    cap: int,
    seed: int,
    fit: Callable[..., Any],
    device: torch.device | str,
) -> Relearned:
    """Steps on `few` (two records at least; with one, batch norm cannot train, and there is nothing to find)."""
    accuracy = partial(_accuracy, few=few, device=device)
    if len(few) < 2:
        return Relearned(cap, censored=True)
    recipe = _RELEARNING.model_copy(update={"epochs": cap})  # an epoch is a step or more

    def train(trained: nn.Module, after_step: Callable[[nn.Module, int], None]) -> None:
        fit(trained, few, recipe, Seeds.all(seed), after_step=after_step)

    return relearn_steps(copy.deepcopy(model), train, accuracy, accuracy(original), cap=cap, alpha=ALPHA)


def _accuracy(model: nn.Module, few: Examples, device: torch.device | str) -> float:
    """Share, 0..1, of the records that the model gets right."""
    right = logits_of(model, few.images, device=device).argmax(1) == few.labels.cpu()
    return float(right.float().mean())
