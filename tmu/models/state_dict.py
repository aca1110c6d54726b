"""Read a PyTorch state dict in a process of its own: `python -m tmu.models.state_dict FILE OUT.safetensors`.

This is the one place that reads a pickle stream of PyTorch. It does so by `weights_only`, whose unpickler builds
tensors, numbers, text and plain containers, and calls nothing else that a file names. Faults of that unpickler have
been found before, so the process has nothing to lose: limits on memory, time and written bytes, no inherited
environment, an empty working folder. What it writes is safetensors, and only that is read by others.
"""

import json
import os
import resource
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tmu.errors import ModelError, TmuError

WRAPPERS = ("state_dict", "model", "model_state_dict")
_MEMORY, _SECONDS = 3 * 2**30, 600  # beside a multiple of the file's size
_DEPTH = 8  # of dicts within dicts
_TRUST = "Only a state dict can be converted: save one by `torch.save(model.state_dict(), FILE)`."


def read(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Tensors by name, each with memory of its own, and the names of what stood beside them and was left out.

    Raises ModelError for anything but a flat or nested dict of dense tensors.
    """
    import torch

    if tarfile.is_tarfile(path):
        raise ModelError("The file is in PyTorch's oldest format (tar).", "Save it again with a newer PyTorch.")
    try:
        loaded = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # an unpickler that refuses raises errors of many kinds
        raise ModelError(
            f"The file is no PyTorch file of tensors alone ({type(error).__name__}).", f"It was not read. {_TRUST}"
        ) from error
    inner, left_out = _unwrapped(loaded)
    tensors = dict[str, Any]()
    for name, tensor in _flat(inner):
        if name in tensors:
            raise ModelError(f"Two tensors are called `{name}`.", _TRUST)
        tensors[name] = tensor
    if not tensors:
        raise ModelError("The file holds no tensors.", _TRUST)
    return {name: _own(name, tensor) for name, tensor in tensors.items()}, left_out


def _unwrapped(loaded: Any) -> tuple[Any, list[str]]:
    """The state dict within a checkpoint (`state_dict`, `model`), and the other entries' names."""
    if isinstance(loaded, Mapping):
        for key in WRAPPERS:
            if isinstance(loaded.get(key), Mapping):
                inner, more = _unwrapped(loaded[key])
                return inner, [*sorted(str(name) for name in loaded if name != key), *more]
    return loaded, []


def _flat(value: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every tensor by its dotted name. Raises ModelError naming what is none."""
    import torch

    if isinstance(value, torch.Tensor) and prefix:
        yield prefix, value
        return
    if not isinstance(value, Mapping) or depth > _DEPTH:
        where = f"`{prefix}`" if prefix else "The file"
        raise ModelError(f"{where} holds a {type(value).__name__}, not tensors by name.", _TRUST)
    for name, part in value.items():
        if not isinstance(name, str):
            raise ModelError(f"A tensor's name is a {type(name).__name__}.", _TRUST)
        yield from _flat(part, f"{prefix}.{name}" if prefix else name, depth + 1)


def _own(name: str, tensor: Any) -> Any:
    """The tensor dense and with memory of its own: state dicts share some, and safetensors do not."""
    import torch

    plain = type(tensor) in (torch.Tensor, torch.nn.Parameter)
    if not plain or tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_complex():
        raise ModelError(f"`{name}` is no plain dense tensor of real numbers.", _TRUST)
    return tensor.detach().clone(memory_format=torch.contiguous_format)


def limit(path: Path) -> None:
    """Limit this process: memory, time, written bytes, no core file."""
    size = path.stat().st_size
    for which, most in (
        (resource.RLIMIT_DATA, _MEMORY + 4 * size),
        (resource.RLIMIT_CPU, _SECONDS),
        (resource.RLIMIT_FSIZE, 2 * size + 2**20),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(which, (most, most))


def main(source: str, target: str) -> int:
    """Convert; prints a JSON object: `tensors`, `left_out`, or `what` and `hint` of an error."""
    try:
        limit(Path(source))
        os.chdir(Path(target).parent)
        from safetensors.torch import save_file

        tensors, left_out = read(Path(source))
        save_file(tensors, target)
    except TmuError as error:
        print(json.dumps({"what": error.what, "hint": error.hint}))
        return 1
    print(json.dumps({"tensors": len(tensors), "left_out": left_out}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
