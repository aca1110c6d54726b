"""A graph of ONNX, compared with the network on random images before it is handed out."""

import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tmu.errors import ConfigError, ModelError
from tmu.export.torch_form import program_of
from tmu.models.bundle import Arch

NAME = "onnx"
FILE = "model.onnx"
FILES = (FILE,)
USE = """import onnxruntime
session = onnxruntime.InferenceSession("model.onnx")
(logits,) = session.run(None, {"pixels": pixels})  # float32 (N, C, H, W) in 0..1; softmax gives the probabilities"""
TOLERANCE = 1e-3
"""Largest difference of a logit from the network's, relative to the largest logit."""
_TRIED = 3  # images; another number than the example of the export


def write(model: nn.Module, arch: Arch, folder: Path) -> None:
    """As `Form.write`. Raises ModelError, too, where the graph answers otherwise than the network."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  torch's exporter needs it
    except ImportError as error:
        raise ConfigError("ONNX is not installed.", "`pip install -e '.[onnx]'` in the repository of tmu.") from error
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch's exporter about torch itself
        graph = torch.onnx.export(
            program_of(model, arch),
            input_names=["pixels"],
            output_names=["logits"],
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    if graph is None:
        raise ModelError(f"`{arch.name}` has no form in ONNX.", "Export it as `safetensors` or `torch`.")
    graph.save(folder / FILE)
    session = onnxruntime.InferenceSession(folder / FILE, providers=["CPUExecutionProvider"])
    pixels = torch.rand(_TRIED, *arch.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = model(pixels).numpy()
    (given,) = session.run(None, {session.get_inputs()[0].name: pixels.numpy()})
    if not np.allclose(given, wanted, rtol=0, atol=TOLERANCE * max(1.0, float(np.abs(wanted).max()))):
        raise ModelError(f"The ONNX graph of `{arch.name}` answers otherwise than the network.", "Export as `torch`.")
