"""Cross-fit models: two networks, each trained on one half of D, so that one of them has not seen a given record.

Ours: the twin problem says how outputs change from seen to unseen, cross-fit models show an unseen output of the very
record (cross-fitting; Feldman and Zhang 2020 measure memorisation so). They know half as much as a gold does; the
target model learns on the hold-out, which neither has seen, how far to trust them. The one that is not asked about a
hold-out record serves as a gold that the twin model does not descend from. Cost: one training on D, once per data
revision and model. Failure mode: a class so rare that a half hardly holds it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tmu.config import Seeds, TrainConfig
from tmu.train import Examples, Fit, logits_of
from tmu.train.order import hash_keys, stream

FLOOR = -12.0  # least log-probability


@dataclass(frozen=True)
class CrossFit:
    """The two networks and the seed that divides records between them by their keys."""

    nets: list[nn.Module]
    seed: int

    def unseen(self, samples: Examples, device: torch.device | str = "cpu") -> Tensor:
        """Log-probabilities (N, K) of the network that was not trained on the record's fold."""
        return self._asked(samples, 1 - fold_of(samples.keys, self.seed), device)

    def other(self, samples: Examples, device: torch.device | str = "cpu") -> Tensor:
        """Log-probabilities (N, K) of the other network: for a hold-out record unseen, too."""
        return self._asked(samples, fold_of(samples.keys, self.seed), device)

    def _asked(self, samples: Examples, which: Tensor, device: torch.device | str) -> Tensor:
        both = [logits_of(net, samples.images, device=device).log_softmax(1).clamp_min(FLOOR) for net in self.nets]
        return torch.where(which.bool()[:, None], both[1], both[0])


def fold_of(keys: Tensor, seed: int) -> Tensor:
    """The fold of each record, 0 or 1 (N,), by its key."""
    # the stream keeps its older name: another would divide the records anew
    return torch.from_numpy((hash_keys(keys, stream(seed, "halves")) & np.uint64(1)).astype(np.int64))


def fit_cross_fit(
    fresh: Callable[[int], nn.Module], train: Examples, recipe: TrainConfig, seeds: Seeds, fit: Callable[..., Fit]
) -> CrossFit:
    """Train network h on the records of fold h, with the original's recipe and seeds of its own."""
    fold, nets = fold_of(train.keys, seeds.evaluate), []
    for number in (0, 1):
        net, offset = fresh(number), 7000 + number
        rows = (fold == number).to(train.labels.device)
        fit(net, train.take(rows), recipe, Seeds(order=seeds.order + offset, augment=seeds.augment + offset))
        nets.append(net)
    return CrossFit(nets, seeds.evaluate)
