"""Features of a record that a model has seen: how would a model that has not seen it fare?

One file a feature; its name is the feature's name in the config. Each file has `compute(side) -> Tensor (N,)`, larger
meaning harder.
"""

import importlib
import pkgutil

import torch
from torch import Tensor

from tmu.errors import ConfigError
from tmu.twin.side import Side


def feature_names() -> list[str]:
    """All features there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def compute_features(side: Side) -> Tensor:
    """The configured features of a side's samples as columns: float32 (N, number of features)."""
    columns = []
    for name in side.config.features:
        if name not in feature_names():
            raise ConfigError(f"There is no feature `{name}`.", f"Choose from {', '.join(feature_names())}.")
        columns.append(importlib.import_module(f"{__name__}.{name}").compute(side).float())
    return torch.stack(columns, dim=1)
