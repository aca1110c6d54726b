"""Weights as safetensors, and a configuration as Hugging Face's libraries write it.

Weights of an architecture of torchvision or timm have that library's own names.
"""

from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor, nn

from tmu.files import write_atomic, write_json
from tmu.models.bundle import Arch

NAME = "safetensors"
WEIGHTS, CONFIG, PIXELS = FILES = ("model.safetensors", "config.json", "preprocessor_config.json")
USE = """from safetensors.torch import load_file
weights = load_file("model.safetensors")  # names of the architecture in config.json"""
_WRAPPED = "body."  # before the names of a library's network in ours
_FAMILIES = ("torchvision/", "timm/")


def write(model: nn.Module, arch: Arch, folder: Path) -> None:
    """As `Form.write`."""
    write_atomic(folder / WEIGHTS, save(_named(model, arch), {"format": "pt"}), private=False)
    write_json(folder / CONFIG, config(arch))
    write_json(folder / PIXELS, _pixels(arch))


def _named(model: nn.Module, arch: Arch) -> dict[str, Tensor]:
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}
    if not arch.name.startswith(_FAMILIES):
        return tensors
    return {name.removeprefix(_WRAPPED): value for name, value in tensors.items()}


def config(arch: Arch) -> dict[str, Any]:
    """`config.json`: the architecture, the classes in the order of the outputs, the input."""
    channels, height, width = arch.shape
    return {
        "architecture": arch.name,
        "options": arch.options,
        "num_channels": channels,
        "image_size": [height, width],
        "num_labels": len(arch.classes),
        "id2label": {str(number): name for number, name in enumerate(arch.classes)},
        "label2id": {name: number for number, name in enumerate(arch.classes)},
        "problem_type": "single_label_classification",
    }


def _pixels(arch: Arch) -> dict[str, Any]:
    channels, height, width = arch.shape
    return {
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [*(arch.mean * channels)[:channels]],
        "image_std": [*(arch.std * channels)[:channels]],
        "size": {"height": height, "width": width},
    }
