"""Real ImageNet weights: the names fit timm's network, which computes what the package's own network computes."""

import io
import tarfile
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


def faces(folder: Path, people: int, each: int) -> tuple[Tensor, np.ndarray]:
    """Grey faces (N, 1, SIZE, SIZE), one of every person first, and whose they are."""
    with tarfile.open(folder / "orl-faces" / "orl_faces.tar.xz") as archive:
        named = {name.split("orl_faces/")[-1]: name for name in archive.getnames()}
        order = [(person, number) for number in range(1, each + 1) for person in range(1, people + 1)]
        read = [archive.extractfile(named[f"s{person}/{number}.pgm"]).read() for person, number in order]
    images = [np.asarray(Image.open(io.BytesIO(file)).resize((SIZE, SIZE))) for file in read]
    return torch.from_numpy(np.stack(images))[:, None].float() / 255, np.array([person for person, _ in order])


@pytest.mark.data
def test_its_features_tell_faces_apart_far_better_than_a_fresh_network(shared_data: Path) -> None:
    """One picture of each person is learned, three others are asked."""
    people = 20
    images, labels = faces(shared_data, people, each=4)
    right = {}
    for kind in ("imagenet", "fresh"):
        torch.manual_seed(0)
        model = build(NAME, (1, SIZE, SIZE), people, constants=CONSTANTS)
        if kind == "imagenet":
            assert begin(model, Start("", tensors())) is True  # the head stays fresh
        with torch.inference_mode():
            features = penultimate(model.eval(), images)[1].numpy()
        features = (features - features[:people].mean(0)) / (features[:people].std(0) + 1e-6)
        probe = LogisticRegression(C=0.01, max_iter=200).fit(features[:people], labels[:people])
        right[kind] = probe.score(features[people:], labels[people:])
    assert right["imagenet"] > 0.65 > 0.3 > right["fresh"]
