"""A model as it answers in service: pixels in, class probabilities out."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tmu.errors import DataError
from tmu.models.bundle import Arch, load_bundle

_FIX = "Give float32 of shape (N, C, H, W) in 0..1, or uint8 in 0..255."
_BYTES = 255
SCALE = "scale"
"""The parameter of MLflow's `predict`: what the pixels are divided by, 1 or 255."""


class ServedModel:
    """A model in evaluation mode on the CPU. `classes`: names in output order; `shape`: (C, H, W) of one image."""

    def __init__(self, module: nn.Module, arch: Arch) -> None:
        self._module, self.classes, self.shape = module, arch.classes, arch.shape

    def predict(self, images: np.ndarray, params: Any = None) -> np.ndarray:
        """Class probabilities, float32 (N, K), of images (N, C, H, W): float32 in 0..1 or uint8 in 0..255.

        params: ignored; MLflow passes it. Raises `DataError` for another type, shape or range.
        """
        pixels = np.asarray(images)
        if pixels.dtype == np.uint8:
            pixels = pixels.astype(np.float32) / _BYTES
        if pixels.dtype != np.float32:
            raise DataError(f"The pixels are {pixels.dtype}, not float32 or uint8.", _FIX)
        if pixels.ndim != 4 or pixels.shape[1:] != self.shape:
            raise DataError(f"The pixels have the shape {pixels.shape}; one image is {self.shape}.", _FIX)
        if pixels.size and not (pixels.min() >= 0 and pixels.max() <= 1):  # not(...) so that NaN is refused as well
            raise DataError("The pixels are not in 0..1.", _FIX)
        with torch.inference_mode():
            return torch.softmax(self._module(torch.from_numpy(pixels.copy())), dim=1).numpy()


class NamedAnswers:
    """A served model whose answers carry the names of the classes: what MLflow's pyfunc and its server give."""

    def __init__(self, model: ServedModel) -> None:
        self._model, self.classes, self.shape = model, model.classes, model.shape

    def predict(self, images: Any, params: dict[str, Any] | None = None) -> Any:
        """A pandas DataFrame (N, K) of probabilities, a column a class.

        images: float32 (N, C, H, W), as the signature says. params: `scale`, what the pixels are divided by: 1 (the
        default) for pixels in 0..1, 255 for bytes. Raises `DataError` as `ServedModel.predict`, and for another scale.
        """
        import pandas as pd

        scale = float((params or {}).get(SCALE, 1.0))
        if scale not in (1.0, float(_BYTES)):
            raise DataError(f"The pixels cannot be divided by {scale:g}.", "Give 1, or 255 for bytes.")
        pixels = np.asarray(images)
        pixels = pixels if pixels.dtype == np.uint8 else (pixels / np.float32(scale)).astype(pixels.dtype)
        return pd.DataFrame(self._model.predict(pixels), columns=list(self.classes))


def load(bundle: Path) -> ServedModel:
    """The model of a bundle on this machine. Raises `ModelError`."""
    module, arch, _ = load_bundle(bundle)
    return ServedModel(module, arch)
