"""Each form of an export answers as the network does, and says how it is read."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tmu.errors import ConfigError, ModelError
from tmu.export import torch_form
from tmu.export.card import card
from tmu.export.formats import chosen_forms, forms
from tmu.models.bundle import Arch

ARCH = Arch("small_resnet", (1, 8, 8), ("a", "b", "c"), {"width": 4}, mean=(0.3,), std=(0.2,))


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return ARCH.build().eval()


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.rand(5, 1, 8, 8)


def _written(name: str, model: torch.nn.Module, folder: Path) -> list[str]:
    (form,) = chosen_forms([name])
    form.write(model, ARCH, folder)
    assert {path.name for path in folder.iterdir()} == {*form.FILES}
    return [*form.FILES]


def test_safetensors_build_the_same_network(model, pixels, tmp_path):
    _written("safetensors", model, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["id2label"] == {"0": "a", "1": "b", "2": "c"}
    prepared = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert (prepared["image_mean"], prepared["image_std"]) == ([0.3], [0.2])
    other = ARCH.build()
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(other.eval()(pixels), model(pixels))


def test_the_weights_of_a_library_have_the_librarys_names(tmp_path):
    import torchvision

    arch = Arch("torchvision/mobilenet_v3_small", (3, 32, 32), ("a", "b"))
    chosen_forms(["safetensors"])[0].write(arch.build().eval(), arch, tmp_path)
    network = torchvision.models.mobilenet_v3_small(num_classes=2)
    network.load_state_dict(load_file(tmp_path / "model.safetensors"))


def test_the_program_of_torch_answers_for_any_number_of_images(model, pixels, tmp_path):
    _written("torch", model, tmp_path)
    program = torch.export.load(tmp_path / "model.pt2").module()
    for n in (1, 5):
        assert torch.allclose(program(pixels[:n]), model(pixels[:n]), atol=1e-5)


def test_the_graph_of_onnx_answers_for_any_number_of_images(model, pixels, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    _written("onnx", model, tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for n in (1, 5):
        (given,) = session.run(None, {"pixels": pixels[:n].numpy()})
        assert np.allclose(given, model(pixels[:n]).detach().numpy(), atol=1e-4)


def test_a_graph_that_answers_otherwise_is_refused(model, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    from tmu.export import onnx_form

    torch.manual_seed(1)
    monkeypatch.setattr(onnx_form, "program_of", lambda *_: torch_form.program_of(ARCH.build().eval(), ARCH))
    with pytest.raises(ModelError, match="answers otherwise"):
        onnx_form.write(model, ARCH, tmp_path)


def test_a_network_whose_flow_depends_on_its_input_is_refused(tmp_path):
    class Fickle(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)[:, :3] if x.sum() > 0 else x.flatten(1)[:, 3:6]

    with pytest.raises(ModelError, match="cannot be exported by torch"):
        torch_form.write(Fickle(), ARCH, tmp_path)


def test_an_unknown_form_is_named_with_those_there_are():
    with pytest.raises(ConfigError, match="no form `tensorflow`") as refused:
        chosen_forms(["torch", "tensorflow"])
    assert "onnx, safetensors, torch" in refused.value.hint


def test_the_card_says_how_each_form_is_read():
    made = card(ARCH, list(forms().values()), {"version": "3"}, ["It is approximate."]).decode()
    assert made.startswith("---\nlibrary_name: pytorch\n")
    assert all(form.USE in made for form in forms().values())
    assert "| version | 3 |" in made and "- It is approximate." in made
