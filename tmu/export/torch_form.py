"""A program of `torch.export`: the network with its weights and its normalisation, for any number of images."""

from pathlib import Path

import torch
from torch import nn

from tmu.errors import ModelError
from tmu.models.bundle import Arch

NAME = "torch"
FILE = "model.pt2"
FILES = (FILE,)
USE = """import torch
program = torch.export.load("model.pt2").module()
logits = program(pixels)  # float32 (N, C, H, W) in 0..1; softmax gives the probabilities"""
_IMAGES = 2  # of the example; one would be taken for a constant


def write(model: nn.Module, arch: Arch, folder: Path) -> None:
    """As `Form.write`."""
    torch.export.save(program_of(model, arch), folder / FILE)


def program_of(model: nn.Module, arch: Arch) -> torch.export.ExportedProgram:
    """The program. Raises ModelError where the network's flow depends on its input."""
    images = torch.zeros(_IMAGES, *arch.shape)
    try:
        with torch.no_grad():
            return torch.export.export(model, (images,), dynamic_shapes=({0: torch.export.Dim("images")},))
    except Exception as error:  # torch names no class for it
        first = str(error).strip().splitlines()
        raise ModelError(
            f"`{arch.name}` cannot be exported by torch: {first[0] if first else type(error).__name__}",
            "Export it as `safetensors`.",
        ) from error
