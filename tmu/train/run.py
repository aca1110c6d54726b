"""The state of one training run, and how it begins."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from tmu.config import Seeds, TrainConfig
from tmu.models.registry import head_of
from tmu.train.balance import balanced_order, class_weights
from tmu.train.batch import AfterStep, Objective, Sampler
from tmu.train.ema import Average
from tmu.train.examples import Examples
from tmu.train.lane import precision_for
from tmu.train.optimisers import optimiser_of
from tmu.train.order import batch_count, batches, epoch_order
from tmu.train.ranks import Ranks


@dataclass
class Run:
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


def prepare(
    model: nn.Module,
    examples: Examples,
    config: TrainConfig,
    seeds: Seeds,
    calls: tuple[Objective, AfterStep | None, Sampler | None],
) -> Run:
    """The run before its first step. examples: on the device that the model is on."""
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
    run = Run(model, examples, classes, config, seeds, objective, after_step, sampler, precision, optimiser, steps)
    run.average = Average(model, config.ema) if config.ema else None
    return run


def _order(examples: Examples, config: TrainConfig, seed: int, epoch: int) -> Tensor:
    if config.balance == "sampling":
        return balanced_order(examples.keys, examples.labels, seed, epoch)
    return epoch_order(examples.keys, seed, epoch)
