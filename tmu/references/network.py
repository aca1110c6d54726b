"""One reference network: trained on its half of D, asked about all records, and forgotten."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tmu.config import Seeds, TrainConfig
from tmu.errors import DataError
from tmu.references.rows import FLOOR
from tmu.train import Examples, Fit
from tmu.train.fresh_head import fit_head, some
from tmu.train.predict import predict

_CHUNK = 8192  # records whose features are in memory at a time


@dataclass(frozen=True)
class Training:
    """How each network is trained. inner: also ask its body with a fresh head, fitted on at most `head_records`.

    held: records of the hold-out, where the recipe stops early by them.
    """

    recipe: TrainConfig
    fit: Callable[..., Fit]
    inner: bool = True
    head_records: int = 2000
    device: torch.device | str = "cpu"
    held: Examples | None = None


@dataclass(frozen=True, eq=False)
class NetworkOutputs:
    """Log-probabilities (N, K), float16, of one network and of its body with a fresh head; how the training went."""

    logp: Tensor
    inner: Tensor | None
    report: Fit


def learn(model: nn.Module, half: Examples, asked: Examples, seeds: Seeds, training: Training) -> NetworkOutputs:
    """Train a fresh `model` in place on its half of D; its answers on the records `asked`.

    The fresh head is fitted on records that the network has learned alone, as the audit does it with a model's own
    retain records (`tmu/audit/probes/head_refit.py`). Raises DataError for a half of fewer than two records.
    """
    if len(half) < 2:
        raise DataError(
            "A half of the training set, split by person, has fewer than two records.",
            "References need more people; choose another method, such as `retrain`.",
        )
    report = training.fit(model, half, training.recipe, seeds, held=training.held)
    head = None
    if training.inner:
        learned = some(half, training.head_records, seeds.evaluate, "references")
        logits, features = predict(model, learned.images, device=training.device)
        head = fit_head(features, learned.labels.cpu(), logits.shape[1])
    outputs, inner = [], []
    for rows in torch.arange(len(asked)).split(_CHUNK):
        logits, features = predict(model, asked.take(rows).images, device=training.device)
        outputs.append(_logp(logits))
        if head is not None:
            inner.append(_logp(head.logits(features)))
    return NetworkOutputs(torch.cat(outputs), torch.cat(inner) if inner else None, report)


def _logp(logits: Tensor) -> Tensor:
    return logits.float().log_softmax(1).clamp_min(FLOOR).half()
