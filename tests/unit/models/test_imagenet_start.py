"""Real ImageNet weights: the names fit timm's network, which computes what the package's own network computes."""

import lzma
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F

from tests.imagenet_weights import MEAN, NAME, STD, state_dict_file, tensors, write_weights
from tmu.models.registry import Constants, build, penultimate
from tmu.models.start import Start, begin
from tmu.steps.starts import read_start

SIZE = 96
_STRIDES = {0: 1, 1: 2, 3: 2, 5: 2, 8: 1, 11: 2, 15: 1}  # of a stage's first block; all others: 1
CONSTANTS = Constants((MEAN,), (STD,))


def same(x: Tensor, weight: Tensor, stride: int, groups: int = 1) -> Tensor:
    """A convolution padded as TensorFlow does: as much as needed, the odd pixel at the end."""
    kernel = weight.shape[-1]
    needed = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[-2:]]
    pads = [half for side in reversed(needed) for half in (side // 2, side - side // 2)]
    return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=groups)


def theirs(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """EfficientNet-Lite0 (Tan and Le 2019, without squeeze-and-excitation, with ReLU6) by the package's names."""

    def normed(x: Tensor, name: str) -> Tensor:
        parts = (weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *parts, eps=1e-3)

    x = F.relu6(normed(same(x, weights["_conv_stem.weight"], 2), "_bn0"))
    for number in range(16):
        block, before = f"_blocks.{number}.", x
        if number:
            x = F.relu6(normed(F.conv2d(x, weights[f"{block}_expand_conv.weight"]), f"{block}_bn0"))
        stride = _STRIDES.get(number, 1)
        x = same(x, weights[f"{block}_depthwise_conv.weight"], stride, groups=x.shape[1])
        x = F.relu6(normed(x, f"{block}_bn1"))
        x = normed(F.conv2d(x, weights[f"{block}_project_conv.weight"]), f"{block}_bn2")
        x = x + before if stride == 1 and x.shape == before.shape else x
    x = F.relu6(normed(F.conv2d(x, weights["_conv_head.weight"]), "_bn1"))
    return F.linear(x.mean((2, 3)), weights["_fc.weight"], weights["_fc.bias"])


def test_the_networks_are_the_same(tmp_path: Path) -> None:
    start = read_start(write_weights(tmp_path / "imagenet.safetensors"))
    model = build(NAME, (3, SIZE, SIZE), 1000, constants=CONSTANTS)
    assert start is not None and begin(model, start) is False  # head and all, nothing missing, nothing left over
    x = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    own = torch.load(state_dict_file(), weights_only=True)
    with torch.inference_mode():
        ours, wanted = model.eval()(x), theirs(own, (x - MEAN) / STD)
    assert wanted.std() > 0.5
    assert torch.allclose(ours, wanted, atol=1e-3)


def cifar(folder: Path, number: int) -> tuple[Tensor, np.ndarray]:
    """The first test images of CIFAR-10 (N, 3, SIZE, SIZE) and their classes."""
    tiles = np.asarray(Image.open(folder / "cifar10" / "c10_5.webp"))[: 32 * -(-number // 100)]
    tiles = tiles.reshape(-1, 32, 100, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3)[:number]
    lines = lzma.decompress((folder / "cifar10" / "c10_labels_names.txt.xz").read_bytes()).decode().splitlines()
    images = torch.from_numpy(tiles.copy()).permute(0, 3, 1, 2).float() / 255
    labels = np.array([int(line.split()[0]) for line in lines[50_000 : 50_000 + number]])
    return F.interpolate(images, size=SIZE, mode="bilinear"), labels


@pytest.mark.drill
@pytest.mark.data
def test_its_features_tell_pictures_apart_far_better_than_a_fresh_network(shared_data: Path) -> None:
    images, labels = cifar(shared_data, 400)
    learned, asked = slice(0, 250), slice(250, None)
    right = {}
    for kind in ("imagenet", "fresh"):
        torch.manual_seed(0)
        model = build(NAME, (3, SIZE, SIZE), 10, constants=CONSTANTS)
        if kind == "imagenet":
            assert begin(model, Start("", tensors())) is True  # the head stays fresh
        with torch.inference_mode():
            features = torch.cat([penultimate(model.eval(), part)[1] for part in images.split(50)]).numpy()
        features = (features - features[learned].mean(0)) / (features[learned].std(0) + 1e-6)
        probe = LogisticRegression(C=0.01, max_iter=200).fit(features[learned], labels[learned])
        right[kind] = probe.score(features[asked], labels[asked])
    assert right["imagenet"] > 0.6 > 0.4 > right["fresh"]
