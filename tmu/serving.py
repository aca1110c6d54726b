"""A registered model outside the flows: loaded by MLflow's address, checked before it is read, nothing left behind.

    model = tmu.serving.load_model("models:/tmu-clinic@champion")
    probabilities = model.predict(pixels)

No code comes from a store. `MLmodel` of every version names this module as its loader, so that
`mlflow.pyfunc.load_model` works as well where `tmu` is installed. That way checks no digest and follows whatever
`MLmodel` says: prefer `load_model`.
"""

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

    def __init__(self, module: nn.Module, arch: Arch):
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


def load_model(uri: str, *, home: Path | str | None = None, digest: str | None = None) -> ServedModel:
    """Load a registered version after checking every stored file of it, `MLmodel` included.

    uri: `models:/NAME/VERSION` or `models:/NAME@ALIAS`. home: the workspace; its MLflow is asked, the files must be
    those that its ledger or journal has on record, and `@champion` must be the version that was put into service last.
    Without it, MLflow is found as MLflow itself finds it (`MLFLOW_TRACKING_URI`), and the files must be those that the
    version's tags name. digest: what `tmu show @champion` prints as `files`; the files must have it. A blocked version
    is never loaded. Raises `ModelError` (changed, missing or foreign file; code in the store; registered by an older
    tmu), `DataError` (blocked; another than on record), `RequestError` (no such version), `StorageError`.
    """
    if home is not None:
        from tmu.steps.check_version import load_version
        from tmu.steps.cut_over import refuse_moved
        from tmu.workspace import Workspace

        workspace = Workspace.open(home)
        version = workspace.registry.find(uri)
        if uri.endswith("@champion"):
            refuse_moved(workspace, version)
        return load_version(workspace, version, digest)
    from tmu.stores import mlflow_link
    from tmu.stores.mlflow_stored import find, refuse_tagged, stored

    client = mlflow_link.ambient()
    version = find(client, uri)
    refuse_tagged(version)
    with stored(client, version, digest=digest) as bundle:
        return load(bundle)


def load(bundle: Path) -> ServedModel:
    """The model of a bundle on this machine. Raises `ModelError`."""
    module, arch, _ = load_bundle(bundle)
    return ServedModel(module, arch)


def _load_pyfunc(data_path: str) -> ServedModel:
    """What `mlflow.pyfunc.load_model` calls: `data_path` is the bundle in MLflow's copy of the model."""
    return load(Path(data_path))
