"""A bundle as an MLflow model folder: model code, the bundle itself, a signature, and requirements named one by one."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tmu.models.bundle import Arch

# `tmu` is left out on purpose: a stranger's package of that name is on the public index
_REQUIRED = ("mlflow", "torch", "safetensors", "numpy", "pydantic")


@contextmanager
def mlflow_folder(bundle: Path, arch: Arch, run_id: str, model_id: str) -> Iterator[Path]:
    """Yield a temporary MLflow model folder that holds a copy of `bundle` and no path of this machine."""
    import mlflow.pyfunc
    from mlflow.models import Model

    described = Model(run_id=run_id, model_id=model_id)
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*input example was not provided")  # it would be stored beside the model
        folder, copy = Path(scratch) / "model", Path(scratch) / "bundle"
        shutil.copytree(bundle, copy)  # MLflow keeps the folder's name, and that is ours to choose
        mlflow.pyfunc.save_model(
            folder,
            mlflow_model=described,
            python_model=str(Path(__file__).with_name("mlflow_model.py")),
            artifacts={"bundle": str(copy)},
            signature=_signature(arch),
            pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in _REQUIRED],
        )
        _forget_paths(described.flavors["python_function"])
        described.save(folder / "MLmodel")
        yield folder


def _signature(arch: Arch) -> Any:
    """Float32 images (any N, C, H, W) to float32 probabilities (N, K)."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    pixels = TensorSpec(np.dtype("float32"), (-1, *arch.shape))
    probabilities = TensorSpec(np.dtype("float32"), (-1, len(arch.classes)))
    return ModelSignature(inputs=Schema([pixels]), outputs=Schema([probabilities]))


def _forget_paths(flavor: dict[str, Any]) -> None:
    """MLflow notes where bundle and code came from; loading needs only their places inside the folder."""
    flavor["artifacts"]["bundle"]["uri"] = flavor["artifacts"]["bundle"]["path"]
    flavor["model_code_path"] = Path(flavor["model_code_path"]).name
