"""Features of a record that a model has seen: how would a model that has not seen it fare?

One file a feature; its name is the feature's name in the config. Each file has `compute(side) -> Tensor (N,)`, larger
meaning harder.
"""

import importlib
import pkgutil
from collections.abc import Sequence

import torch
from torch import Tensor

from tmu.errors import ConfigError
from tmu.twin.side import Side


def feature_names() -> list[str]:
    """All features there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def feature_modules(names: Sequence[str]) -> tuple[str, ...]:
    """The dotted names of features' modules. Raises ConfigError for an unknown feature."""
    for name in names:
        if name not in feature_names():
            raise ConfigError(f"There is no feature `{name}`.", f"Choose from {', '.join(feature_names())}.")
    return tuple(f"{__name__}.{name}" for name in names)


def compute_features(side: Side) -> Tensor:
    """The configured features of a side's samples as columns: float32 (N, number of features)."""
    modules = (importlib.import_module(module) for module in feature_modules(side.config.features))
    return torch.stack([module.compute(side).float() for module in modules], dim=1)
