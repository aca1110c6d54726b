"""The model's code as MLflow stores it beside a bundle ("models from code"): no pickle is written or read.

MLflow runs this file when it loads the model; `tmu` itself must be installed there, at the version's `git_commit`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from tmu.errors import DataError
from tmu.models.bundle import load_bundle


class BundleModel(PythonModel):
    """A bundle behind MLflow's `predict`."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the bundle; every digest is checked, and files of any other type are refused (`ModelError`)."""
        self.model, self.arch, _ = load_bundle(Path(context.artifacts["bundle"]))

    def predict(self, context: PythonModelContext | None, model_input: np.ndarray, params: Any = None) -> np.ndarray:
        """Images (N, C, H, W), uint8 0..255 or float 0..1, to probabilities (N, K) float32 in the bundle's class order.

        MLflow's own interface takes float32 alone, as its signature names one type. `DataError` for floats beyond 0..1.
        """
        x = torch.from_numpy(np.array(model_input))
        x = x.float() if x.is_floating_point() else x.float() / 255
        if x.numel() and not (x.min() >= 0 and x.max() <= 1):  # not(...) so that NaN is refused as well
            raise DataError("The pixels are not in 0..1.", "Divide 0..255 by 255, or give uint8.")
        with torch.inference_mode():
            return torch.softmax(self.model(x), dim=1).numpy()


set_model(BundleModel())
