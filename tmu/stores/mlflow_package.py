"""A bundle as an MLflow model folder: the bundle, a signature, requirements named one by one, and no code.

`MLmodel` names the loader in the installed package; all of it that MLflow would import or run is in `FLAVOR`.
"""

import shutil
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # needs torch, and looking at versions does not
    from tmu.models.bundle import Arch

LOADER = "tmu.serving"
BUNDLE = "data/bundle"
FLAVOR = {"loader_module": LOADER, "data": BUNDLE, "code": None, "streamable": False}
"""What `python_function` holds in every `MLmodel` of ours, beside `env` and `python_version`."""
# `tmu` is left out on purpose: a stranger's package of that name is on the public index
_REQUIRED = ("mlflow", "torch", "safetensors", "numpy", "pandas", "pydantic")
_LIBRARIES = ("torchvision", "timm")  # whose architectures are called by their name: `timm/resnet18`


def mlflow_folder(scratch: Path, bundle: Path, arch: "Arch", run_id: str, model_id: str) -> Path:
    """Make an MLflow model folder in `scratch` that holds a copy of `bundle` and no path of this machine."""
    import mlflow.pyfunc
    from mlflow.models import Model

    described = Model(run_id=run_id, model_id=model_id)
    folder, copy = scratch / "model", scratch / "bundle"
    shutil.copytree(bundle, copy)  # MLflow keeps the folder's name, and that is ours to choose
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*input example was not provided")  # it would be stored beside the model
        mlflow.pyfunc.save_model(
            folder,
            mlflow_model=described,
            loader_module=LOADER,
            data_path=str(copy),
            signature=_signature(arch),
            pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in required(arch)],
        )
    return folder


def required(arch: "Arch") -> tuple[str, ...]:
    """The packages beside tmu itself that a model of this architecture is loaded with."""
    library = arch.name.partition("/")[0]
    return (*_REQUIRED, library) if library in _LIBRARIES else _REQUIRED


def _signature(arch: "Arch") -> Any:
    """Float32 images (any N, C, H, W), divided by the parameter `scale`, to a probability for each class by name."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec

    from tmu.models.served import SCALE

    pixels = TensorSpec(np.dtype("float32"), (-1, *arch.shape))
    probabilities = [ColSpec(DataType.float, name) for name in arch.classes]
    scale = ParamSpec(SCALE, DataType.double, 1.0)
    return ModelSignature(inputs=Schema([pixels]), outputs=Schema(probabilities), params=ParamSchema([scale]))
