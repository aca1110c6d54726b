"""What was computed, kept by what determines it: a folder is named by a digest of its inputs and one of the code."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save as save_arrays
from safetensors.torch import load_file, save
from torch import nn

from tmu.files import digest_of, new_folder, write_json
from tmu.provenance import code_digest, now
from tmu.twin.freeze import empty

WEIGHTS, OUTPUTS, RUN = "weights.safetensors", "outputs.safetensors", "run.json"


@dataclass(frozen=True)
class Cache:
    """root: the suite's folder. any_code: take what other code computed, too (the newest)."""

    root: Path
    any_code: bool = False

    def key(self, inputs: dict[str, Any], *modules: str) -> str:
        """Name of an entry: digest of its inputs, then of the code that computes it (`tmu/provenance.py`)."""
        return f"{digest_of(inputs)[:24]}-{code_digest(*modules)[:12]}"

    def find(self, kind: str, key: str) -> Path | None:
        """The entry's folder, if it is there."""
        folder = self.root / kind / key
        if (folder / RUN).is_file():
            return folder
        others = (self.root / kind).glob(f"{key.partition('-')[0]}-*/{RUN}") if self.any_code else ()
        return max((path.parent for path in others), key=lambda path: (path / RUN).stat().st_mtime, default=None)

    def make(self, kind: str, key: str, build: Callable[[Path, dict[str, Any]], None]) -> Path:
        """The entry's folder; `build(folder, run)` fills folder and run record where it is not there yet."""
        found = self.find(kind, key)
        if found:
            return found
        run: dict[str, Any] = {}
        with new_folder(self.root / kind / key) as folder:
            build(folder, run)
            write_json(folder / RUN, run | {"at": now()})
        return self.root / kind / key


def read_run(folder: Path) -> dict[str, Any]:
    """An entry's run record: `seconds`, and what else its maker noted."""
    return json.loads((folder / RUN).read_text())


def save_net(folder: Path, net: nn.Module) -> None:
    """A network's state as fp32 on the CPU."""
    state = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    (folder / WEIGHTS).write_bytes(save(state))


def load_net_state(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of an entry."""
    return load_file(folder / WEIGHTS)


def load_net(folder: Path, build: Callable[[], nn.Module]) -> nn.Module:
    """The network of an entry, in evaluation mode, on the CPU."""
    net = empty(build)
    net.load_state_dict(load_file(folder / WEIGHTS))
    return net.eval()


def save_outputs(folder: Path, **logits: torch.Tensor) -> None:
    """Logits by split (train, holdout, test), float32 (N, K)."""
    (folder / OUTPUTS).write_bytes(save_arrays({split: each.numpy() for split, each in logits.items()}))


def load_outputs(folder: Path) -> dict[str, np.ndarray]:
    """What `save_outputs` wrote."""
    return load_arrays(folder / OUTPUTS)
