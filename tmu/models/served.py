"""A model as it answers in service: pixels in, class probabilities out."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tmu.errors import DataError
from tmu.models.bundle import Arch, load_bundle

_FIX = "Give float32 of shape (N, C, H, W) in 0..1; for bytes: `pixels.astype('float32') / 255`."


class ServedModel:
    """A model in evaluation mode on the CPU. `classes`: names in output order; `shape`: (C, H, W) of one image."""

    def __init__(self, module: nn.Module, arch: Arch) -> None:
        self._module, self.classes, self.shape = module, arch.classes, arch.shape

    def predict(self, images: np.ndarray, params: Any = None) -> np.ndarray:
        """Class probabilities, float32 (N, K), of images float32 (N, C, H, W) in 0..1.

        params: ignored; MLflow passes it. Raises `DataError` for another type, shape or range.
        """
        pixels = np.asarray(images)
        if pixels.dtype != np.float32:
            raise DataError(f"The pixels are {pixels.dtype}, not float32.", _FIX)
        if pixels.ndim != 4 or pixels.shape[1:] != self.shape:
            raise DataError(f"The pixels have the shape {pixels.shape}; one image is {self.shape}.", _FIX)
        if pixels.size and not (pixels.min() >= 0 and pixels.max() <= 1):  # not(...) so that NaN is refused as well
            raise DataError("The pixels are not in 0..1.", _FIX)
        with torch.inference_mode():
            return torch.softmax(self._module(torch.from_numpy(pixels.copy())), dim=1).numpy()


def load(bundle: Path) -> ServedModel:
    """The model of a bundle on this machine. Raises `ModelError`."""
    module, arch, _ = load_bundle(bundle)
    return ServedModel(module, arch)
