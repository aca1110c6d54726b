"""Accuracy on the hold-out after each epoch, and the epoch that early stopping keeps.

Nothing here is random, and whether to stop depends on the history alone, so that a resumed run stops where the other
one did.
"""

import torch
from torch import nn

from tmu.train.examples import Examples
from tmu.train.predict import logits_of

HELD = "accuracy_holdout_pct"
History = list[dict[str, float]]


def accuracy_pct(model: nn.Module, held: Examples, batch_size: int) -> float:
    """Per cent of `held` that a model gets right, as it answers once it is trained; its modes are restored."""
    modes = {part: part.training for part in model.modules()}
    try:
        answers = logits_of(model, held.images, batch_size=batch_size, device=held.labels.device).argmax(1)
    finally:
        for part, training in modes.items():
            part.training = training
    return 100 * float((answers == held.labels.cpu()).to(torch.float64).mean())


def best_epoch(history: History) -> int:
    """The first epoch (from 1) of the highest accuracy on the hold-out."""
    return int(max(history, key=lambda entry: (entry[HELD], -entry["epoch"]))["epoch"])


def is_over(history: History, patience: int | None) -> bool:
    """Whether so many epochs have passed without a better one. None: never."""
    return patience is not None and bool(history) and len(history) - best_epoch(history) >= patience
