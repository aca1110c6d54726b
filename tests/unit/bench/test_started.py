"""A suite's networks begin with the weights of `model.init`, and its stored models are named by their digest."""

import shutil
from types import SimpleNamespace

import torch
from safetensors.torch import save_file

from bench.runner.models import Workshop
from tmu.config import ModelConfig, Seeds, TrainConfig
from tmu.models.registry import build

OPTIONS = {"width": 4}


def shop(**model) -> Workshop:
    suite = SimpleNamespace(model=ModelConfig(name="small_resnet", options=OPTIONS, **model))
    return Workshop(suite, SimpleNamespace(shape=(1, 8, 8), classes=("a", "b"), digest="d"), None, "cpu")


def test_fresh_networks_begin_with_it_and_keys_name_its_digest(tmp_path):
    started = build("small_resnet", (1, 8, 8), 5, OPTIONS).state_dict()
    save_file(started, tmp_path / "start.safetensors")
    shutil.copyfile(tmp_path / "start.safetensors", tmp_path / "copy.safetensors")
    one, two = (shop(init=str(tmp_path / f"{name}.safetensors"), mean=0.1) for name in ("start", "copy"))
    fresh = one.fresh(3)
    assert torch.equal(fresh.state_dict()["1.0.weight"], started["1.0.weight"])
    assert torch.equal(fresh.state_dict()["8.weight"], shop().fresh(3).state_dict()["8.weight"])  # the head of the seed
    assert fresh[0].mean == 0.1
    recipe = TrainConfig(), Seeds.all(0)
    assert one.inputs(*recipe) == two.inputs(*recipe)
    assert one.inputs(*recipe)["model"]["init_sha256"] == one.start.sha256
    assert shop().inputs(*recipe)["model"] == {"name": "small_resnet", "options": OPTIONS}
