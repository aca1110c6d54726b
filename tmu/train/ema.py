"""The averaged weights of a run: an exponential moving average of parameters and statistics, which is what is kept.

After step t, a ← a + (1 - d_t)(θ - a) with d_t = min(decay, t / (t + 9)): the first steps count for little, so that no
trace of the initial weights stays. Running means and variances of batch normalisation are averaged like the weights
they go with; whole numbers, such as the count of batches, are taken over. Source: Polyak and Juditsky 1992; the start
as in TensorFlow's `ExponentialMovingAverage`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_START = 9


class Average:
    """The average of one model. tensors: by the names of its `state_dict`, on its device."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._live = model.state_dict()  # the model's own memory
        self.tensors = copied(self._live)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights after `step` steps (from 1) into the average."""
        real = [name for name, value in self._live.items() if value.is_floating_point()]
        pull = 1 - min(self._decay, step / (step + _START))
        torch._foreach_lerp_([self.tensors[name] for name in real], [self._live[name] for name in real], pull)
        for name in self._live.keys() - real:
            self.tensors[name].copy_(self._live[name])

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Inside, the model has the averaged weights; after it, its own, bit for bit."""
        own = copied(self._live)
        put(self._live, self.tensors)
        try:
            yield
        finally:
            put(self._live, own)


def copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A copy of a `state_dict`, in the same memory formats."""
    return {name: value.detach().clone() for name, value in state.items()}


@torch.no_grad()
def put(live: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
    """Write tensors into a model's own memory, its `state_dict`, by name."""
    for name, value in live.items():
        value.copy_(tensors[name])
