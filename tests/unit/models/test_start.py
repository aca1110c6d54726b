"""A start: names matched by prefix, the head replaced where classes differ, everything else refused by name."""

import builtins
import math

import pytest
import torch
from torch import nn

from tmu.errors import ConfigError, ModelError
from tmu.models.registry import Constants, Normalise, build, head_of
from tmu.models.start import Start, begin

SHAPE = (1, 8, 8)
HEAD = ("8.weight", "8.bias")


def net(seed: int, classes: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    return build("small_resnet", SHAPE, classes, {"width": 4})


def start(model: nn.Module, prefix: str = "", **changes: torch.Tensor | None) -> Start:
    """A start of a model's weights; a change of None leaves a tensor out."""
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()} | changes
    return Start("0" * 64, {prefix + name: tensor for name, tensor in tensors.items() if tensor is not None})


def trained(seed: int = 1, classes: int = 3) -> nn.Module:
    """A network whose running statistics differ from a fresh one's, too."""
    model = net(seed, classes).train()
    model(torch.rand(8, *SHAPE))
    return model


@pytest.mark.parametrize("prefix", ["", "module.", "model.backbone."])
def test_all_tensors_are_taken_whatever_prefix_their_names_have(prefix):
    there, here = trained(), net(2)
    assert begin(here, start(there, prefix)) is False
    assert all(torch.equal(tensor, there.state_dict()[name]) for name, tensor in here.state_dict().items())


@pytest.mark.parametrize("changes", [{}, dict.fromkeys(HEAD)])
def test_a_head_of_other_classes_or_none_is_the_one_of_the_seed(changes):
    there, here, fresh = trained(classes=5), net(2), net(2)
    assert begin(here, start(there, **changes)) is True
    for name, tensor in here.state_dict().items():
        assert torch.equal(tensor, (fresh if name in HEAD else there).state_dict()[name]), name


def test_names_of_a_library_fit_into_our_wrapper():
    torch.manual_seed(3)
    here = build("torchvision/shufflenet_v2_x0_5", (1, 32, 32), 7)
    there = build("torchvision/shufflenet_v2_x0_5", (3, 32, 32), 5).body
    assert begin(here, Start("0" * 64, there.state_dict())) is True
    assert torch.equal(here.body.conv1[0].weight, there.conv1[0].weight)


def test_names_of_another_library_are_told_from_a_network_that_differs():
    there = {f"layer_{name}": tensor for name, tensor in trained().state_dict().items()}
    with pytest.raises(ModelError, match="name no tensor as the architecture does: they have `layer_1") as caught:
        begin(net(2), Start("0" * 64, there))
    assert "rename its tensors" in caught.value.hint and "`1.0.weight` is missing" in caught.value.details


def test_an_older_file_without_counters_of_batches_fits():
    there, here = trained(), net(2)
    counters = {name: None for name in there.state_dict() if name.endswith("num_batches_tracked")}
    assert counters
    begin(here, start(there, **counters))
    assert torch.equal(here.state_dict()["1.1.running_mean"], there.state_dict()["1.1.running_mean"])
    assert not here.state_dict()["1.1.num_batches_tracked"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"1.1.running_mean": None}, "`1.1.running_mean` is missing"),
        ({"9.weight": torch.zeros(2)}, "`9.weight` is left over"),
        ({"1.0.weight": torch.zeros(4, 1, 5, 5)}, "`1.0.weight` has the shape [4, 1, 5, 5], not [4, 1, 3, 3]"),
        ({"8.weight": torch.zeros(3, 17)}, "`8.weight` has the shape [3, 17], not [3, 16]"),
        ({"8.weight": None}, "`8.weight` is missing"),
        ({"1.1.weight": torch.tensor([1.0, math.nan, 1.0, 1.0])}, "`1.1.weight` holds numbers that are not finite"),
        ({"1.1.bias": torch.full((4,), 1e300, dtype=torch.float64)}, "`1.1.bias` holds numbers that are not finite"),
        ({"1.1.running_var": torch.full((4,), -1.0)}, "`1.1.running_var` holds a variance below 0"),
        ({"1.1.bias": torch.zeros(4, dtype=torch.int64)}, "`1.1.bias` is int64, not float32"),
    ],
)
def test_a_misfit_is_named_and_nothing_is_changed(changes, said):
    here, before = net(2), net(2).state_dict()
    with pytest.raises(ModelError) as refused:
        begin(here, start(trained(), **changes))
    assert said in str(refused.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in here.state_dict().items())


def test_of_another_architecture_some_misfits_are_named_and_all_are_listed():
    other = build("resnet9", SHAPE, 3, {"width": 4})
    with pytest.raises(ModelError, match=r"and \d+ more") as refused:
        begin(net(2), start(other))
    assert len(refused.value.details) > 20


def test_half_precision_becomes_ours():
    there, here = trained(), net(2)
    begin(here, start(there.half()))
    assert here.state_dict()["8.weight"].dtype == torch.float32
    assert torch.equal(here.state_dict()["8.weight"], there.state_dict()["8.weight"].float())


def test_constants_are_applied_by_channel_and_are_no_part_of_the_weights():
    torch.manual_seed(0)
    model = build("small_resnet", (3, 8, 8), 3, {"width": 4}, Constants((0.1, 0.2, 0.3), (0.5, 0.25, 1.0)))
    x = torch.rand(2, 3, 8, 8)
    wanted = torch.stack([(x[:, 0] - 0.1) / 0.5, (x[:, 1] - 0.2) / 0.25, x[:, 2] - 0.3], 1)
    assert torch.allclose(model[0](x), wanted)
    assert model.state_dict().keys() == build("small_resnet", (3, 8, 8), 3, {"width": 4}).state_dict().keys()
    assert torch.equal(Normalise()(x), (x - 0.5) / 0.25)


def test_grey_images_may_have_constants_by_colour_where_the_network_is_for_colours():
    model = build("torchvision/shufflenet_v2_x0_5", (1, 32, 32), 3, {}, Constants((0.1, 0.2, 0.3), (1.0,)))
    assert model.eval()(torch.rand(2, 1, 32, 32)).shape == (2, 3)
    with pytest.raises(ConfigError, match=r"`model\.mean` has 3 numbers, and an image of the dataset 1 channels"):
        build("small_resnet", SHAPE, 3, {}, Constants((0.1, 0.2, 0.3), (1.0,)))


def test_timm_builds_without_downloading(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model = build("timm/resnet10t", (1, 32, 32), 5)
    assert model.eval()(torch.rand(2, 1, 32, 32)).shape == (2, 5)
    assert head_of(model).out_features == 5
    for name, refused in (("timm/no_such_net", ModelError), ("timm/hf-hub:timm/resnet10t", ModelError)):
        with pytest.raises(refused, match="timm has no architecture"):
            build(name, (3, 32, 32), 5)
    with pytest.raises(ConfigError, match="does not take the option `pretrained`"):
        build("timm/resnet10t", (3, 32, 32), 5, {"pretrained": True})


def test_without_timm_its_architectures_are_refused_with_the_way_to_get_it(monkeypatch):
    whole = builtins.__import__

    def without(name, *rest):
        if name == "timm":
            raise ImportError("no timm")
        return whole(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"pip install -e '\.\[timm\]'"):
        build("timm/resnet10t", (3, 32, 32), 5)
