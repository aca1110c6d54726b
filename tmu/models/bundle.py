"""A trained model as a folder without pickle: `weights.safetensors`, `arch.json`, `manifest.json`, maybe `run.json`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from tmu import manifest
from tmu.errors import ModelError
from tmu.files import read_json, write_atomic, write_json
from tmu.models.bundle_files import ARCH, WEIGHTS
from tmu.models.registry import Constants, build

KIND = "model"


@dataclass(frozen=True)
class Arch:
    """What rebuilds a model: registry name, input shape (C, H, W), class names in output order, options,
    and what pixels are normalised by (`tmu.models.registry.Constants`).
    """

    name: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    mean: tuple[float, ...] = Constants.mean
    std: tuple[float, ...] = Constants.std

    def build(self) -> nn.Module:
        """A fresh model of this architecture; see `tmu.models.registry.build`."""
        return build(self.name, self.shape, len(self.classes), self.options, Constants(self.mean, self.std))

    def as_json(self) -> dict[str, Any]:
        """JSON-ready; constants at their defaults are left out, as in bundles that were written before."""
        usual = {"mean": Constants.mean, "std": Constants.std}
        return {name: value for name, value in asdict(self).items() if usual.get(name) != value}

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> "Arch":
        """What `as_json` gave. Raises KeyError or TypeError where it is something else."""
        constants = {name: tuple(map(float, raw[name])) for name in ("mean", "std") if name in raw}
        return cls(raw["name"], tuple(raw["shape"]), tuple(raw["classes"]), raw["options"], **constants)


def save_bundle(folder: Path, model: nn.Module, arch: Arch, identity: dict[str, Any]) -> None:
    """Write a model into `folder`, its manifest last: a folder whose writing was cut short is never accepted.

    Equal weights give equal bytes: names sorted, tensors contiguous on the CPU, floats as fp32.
    """
    write_atomic(folder / WEIGHTS, save(_plain(model)))
    write_json(folder / ARCH, arch.as_json())
    manifest.seal(folder, KIND, identity)


def load_bundle(folder: Path) -> tuple[nn.Module, Arch, dict[str, Any]]:
    """The model in eval mode on the CPU, its architecture, and the manifest's identity.

    Torch's generator is left as it was. Raises `ModelError` naming the file: changed byte, missing or foreign file,
    tensors that do not fit the architecture.
    """
    listed = manifest.check(folder, KIND, ModelError)
    for name in sorted({*listed["files"]} ^ {WEIGHTS, ARCH}):
        fault = "is not part of a model bundle" if name in listed["files"] else "is missing"
        raise ModelError(
            f"{name} in {folder} {fault}.", f"A bundle holds {WEIGHTS} and {ARCH}; use one written by tmu."
        )
    arch = _read_arch(folder)
    with torch.random.fork_rng(devices=[]):  # building draws initial weights that are thrown away
        model = arch.build()
    _fill(model, _read_weights(folder), folder)
    return model.eval(), arch, listed["identity"]


def _plain(model: nn.Module) -> dict[str, Tensor]:
    state = sorted(model.state_dict().items())
    return {
        name: tensor.detach().to("cpu", torch.float32 if tensor.is_floating_point() else None).contiguous()
        for name, tensor in state
    }


def _read_arch(folder: Path) -> Arch:
    try:
        return Arch.of(read_json(folder / ARCH))
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{ARCH} in {folder} is not readable.", "Use a bundle written by tmu.") from error


def _read_weights(folder: Path) -> dict[str, Tensor]:
    try:
        return load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise ModelError(f"{WEIGHTS} in {folder} is not readable.", "Use a bundle written by tmu.") from error


def _fill(model: nn.Module, tensors: dict[str, Tensor], folder: Path) -> None:
    wanted = {name: (tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()}
    given = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
    for name in sorted({*wanted, *given}):
        if wanted.get(name) != given.get(name):
            raise ModelError(
                f"{WEIGHTS} in {folder} does not fit its {ARCH}: tensor `{name}`.", "Use a bundle written by tmu."
            )
    model.load_state_dict(tensors)
