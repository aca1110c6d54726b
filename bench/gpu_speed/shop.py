"""What the parts share: data, device, the models that later parts need, a clock that waits for the device."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from bench.gpu_speed.plan import Sizes
from bench.runner.ground import Ground
from tmu.config import Seeds, TrainConfig
from tmu.models.registry import build
from tmu.references.rows import ReferenceRows
from tmu.train import Examples, Fit, fit
from tmu.twin.freeze import empty
from tmu.twin.reference_twin import ReferenceTwin

Tell = Callable[[str, str, float, str], None]
"""(what, number, value, unit): store one row."""
SEED = 0


class Missing(Exception):
    """An earlier part did not give what this one needs."""


@dataclass
class Shop:
    """What parts leave to later ones; limit: seconds of the running part.

    plain: seconds of airbench94's recipe. retraining: seconds of a whole one. rows: of D and of the hold-out. rates:
    images a second at 224 pixels.
    """

    sizes: Sizes
    device: torch.device
    limit: float = inf
    ground: Ground | None = None
    plain: float | None = None
    original: nn.Module | None = None
    retraining: float | None = None
    rows: dict[str, ReferenceRows] | None = None
    twin: ReferenceTwin | None = None
    rates: dict[str, float] = field(default_factory=dict)

    @property
    def data(self) -> Ground:
        """The records, on the device."""
        return needed(self.ground, "data")

    def fresh(self, seed: int = SEED) -> nn.Module:
        """A network of the protocol before its training."""
        model, data = self.sizes.suite.model, self.data

        def seeded() -> nn.Module:
            torch.manual_seed(seed)
            return build(model.name, data.shape, len(data.classes), model.options)

        return empty(seeded)

    def fit(self, model: nn.Module, examples: Examples, config: TrainConfig, seeds: Seeds, **given: Any) -> Fit:
        """The engine on the device."""
        return fit(model, examples, config, seeds, device=self.device, **given)

    def timed(self, call: Callable[[], Any]) -> tuple[Any, float]:
        """What it returns, and the seconds until the device is done with it."""
        self.settle()
        began = time.perf_counter()
        result = call()
        self.settle()
        return result, time.perf_counter() - began

    def settle(self) -> None:
        """Wait until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def needed(value: Any, part: str) -> Any:
    """The value. Raises Missing where the part gave none."""
    if value is None:
        raise Missing(part)
    return value


def coloured(images: Tensor, side: int) -> Tensor:
    """Pictures uint8 (N, 1 or 3, H, W) with three channels at side x side, on their device."""
    wide = images.expand(-1, 3, -1, -1)
    if wide.shape[-1] == side:
        return wide.contiguous()
    parts = [interpolate(part.float(), size=side, mode="bilinear", antialias=True) for part in wide.split(256)]
    return torch.cat([part.round().clamp(0, 255).to(torch.uint8) for part in parts])
