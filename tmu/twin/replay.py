"""Batches of forget set and replay: what a step on a few dozen batches sees in place of all of D.

A batch holds `forget` records of D_f, which come round in turn, and `replay` records of D_r, drawn without replacement
with probabilities in proportion to their weights (Efraimidis and Spirakis 2006). What has been memorised is forgotten
first: a record that a network which never saw it gets right needs no protection, one that it gets wrong does. So the
weight is .05 + how much more sure the references that learned the record are of it than those that did not. Draws
depend on keys, seed and step alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss

from tmu.config import Seeds, TrainConfig
from tmu.references.rows import ReferenceRows
from tmu.train import Examples, Fit
from tmu.train.batch import Batch
from tmu.train.examples import join
from tmu.train.order import hash_keys, stream
from tmu.train.recipes import step_recipe

PER_EPOCH = 4  # batches to one of the engine's epochs: numbers for the progress bar
_LEAST = 0.05
_MARGINS, _SURE = 0.2, 1e-6  # weight of the margins' loss; targets lie within ±13.8 nats


@dataclass(frozen=True)
class StepPlan:
    """A step: batches of `forget` and `replay` records, peak learning rate, lead of the targets in nats."""

    batches: int
    forget: int
    replay: int
    lr: float
    lead: float

    @property
    def draws(self) -> int:
        """Records of D_r that are drawn for replay."""
        return self.batches * self.replay


@dataclass(frozen=True, eq=False)
class StepCase:
    """What a step works on: D_f, the replay pool (a part of D_r), the replay weights (P,) and how to train.

    recipe: the original's. fit: the engine, bound to device, threads, snapshot and progress.
    """

    forget: Examples
    pool: Examples
    weights: Tensor
    classes: int
    recipe: TrainConfig
    seeds: Seeds
    fit: Callable[..., Fit]


def take_step(model: nn.Module, case: StepCase, targets: Tensor, plan: StepPlan) -> Fit:
    """Teach D_f its targets (F, K) and the pool its labels, in place, by the plan.

    Loss: cross-entropy, and on D_f .2 times the Huber loss of the true-class margin against the target's. Where both
    are sure, cross-entropy hardly pulls, however many nats lie between them, and an attack sees those nats.
    """
    forget, pool = case.forget.taught(targets.to(case.forget.labels.device)), case.pool
    objective = TowardsMargins(len(forget))
    sampler = Replay(forget.keys, pool.keys, case.weights, plan.forget, plan.replay, case.seeds.unlearn)
    rate = {"lr": plan.lr, "schedule": "triangle", "warmup": 0.1, "epochs": max(1, round(plan.batches / PER_EPOCH))}
    recipe = step_recipe(case.recipe, **rate, balance="none" if case.recipe.balance == "none" else "weights")
    return case.fit(model, join(forget, pool, case.classes), recipe, case.seeds, sampler=sampler, objective=objective)


@dataclass(frozen=True)
class TowardsMargins:
    """The engine's objective of a step. Its first `forget` examples are D_f; the others learn their labels."""

    forget: int

    def __call__(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean loss of a batch, and logits (B, K)."""
        logits = model(batch.views).float()
        true, wanted = (each.gather(1, batch.labels[:, None])[:, 0] for each in (logits, batch.targets))
        others = logits.scatter(1, batch.labels[:, None], -torch.inf).logsumexp(1)
        off = smooth_l1_loss(true - others, wanted.clamp(_SURE, 1 - _SURE).logit(), reduction="none")
        losses = -(batch.targets * logits.log_softmax(1)).sum(1)
        losses = losses + _MARGINS * off * (batch.rows < self.forget)
        return (losses if batch.weights is None else losses * batch.weights).mean(), logits


@dataclass(frozen=True, eq=False)
class Replay:
    """Draws the rows of `join(D_f, replay pool)`, for the engine's `sampler`.

    forget_keys: int64 (F,). pool_keys: int64 (P,), weights: float32 (P,) > 0. forget, replay: records in a batch.
    """

    forget_keys: Tensor
    pool_keys: Tensor
    weights: Tensor
    forget: int
    replay: int
    seed: int

    def __call__(self, epoch: int) -> list[Tensor]:
        """The rows (B,) of each of an epoch's batches."""
        return [self._batch(step) for step in range(epoch * PER_EPOCH, (epoch + 1) * PER_EPOCH)]

    def _batch(self, step: int) -> Tensor:
        rows = torch.cat([self._of_forget(step), len(self.forget_keys) + self._of_pool(step)])
        return rows.to(self.forget_keys.device)

    def _of_forget(self, step: int) -> Tensor:
        """The next records in turn; each round has an order of its own."""
        n, size = len(self.forget_keys), min(self.forget, len(self.forget_keys))
        places = np.arange(step * size, (step + 1) * size)
        rounds = {int(number): self._order(int(number)) for number in np.unique(places // n)}
        return torch.from_numpy(np.array([rounds[int(place // n)][place % n] for place in places]))

    def _order(self, number: int) -> np.ndarray:
        return np.argsort(hash_keys(self.forget_keys, stream(self.seed, "forget round", number)), kind="stable")

    def _of_pool(self, step: int) -> Tensor:
        bits = hash_keys(self.pool_keys, stream(self.seed, "replay", step))
        uniform = (bits.astype(np.float64) + 0.5) / 2.0**64
        race = -np.log(uniform) / self.weights.cpu().double().numpy()
        size = min(self.replay, len(race))
        chosen = np.argpartition(race, size - 1)[:size] if size < len(race) else np.arange(len(race))
        return torch.from_numpy(np.sort(chosen))


def replay_weights(rows: ReferenceRows) -> Tensor:
    """How much each record needs replay, float32 (P,): .05 + max(0, p_y learned - p_y unseen)."""
    true = rows.labels[:, None]
    learned, unseen = (outputs.gather(1, true)[:, 0] for outputs in (rows.learned(), rows.unseen()))
    return _LEAST + (learned - unseen).clamp_min(0).nan_to_num(0.0)
