"""Training from weights of a file: everything that is trained begins with it, by digest, wherever the file is later."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from tests.integration.conftest import QUICK, make_workspace
from tmu import start_file
from tmu.config import ModelConfig, Params
from tmu.deletion.plan import Asked, rules_of
from tmu.errors import ConfigError, ModelError, StorageError
from tmu.manifest import read
from tmu.models import start
from tmu.models.bundle import Arch
from tmu.models.registry import build
from tmu.start_file import said_of_start
from tmu.steps import starts
from tmu.steps.acknowledge import forget_set
from tmu.steps.fit_references import fit_references
from tmu.steps.loading import data_ref, load_model
from tmu.steps.plan import plan_deletion
from tmu.steps.starts import keep_start, read_start, start_of
from tmu.steps.train_model import train_gold, train_original
from tmu.workspace import Workspace

FILE = "weights/start.safetensors"
MODEL = {"name": "small_resnet", "options": {"width": 4}, "init": FILE, "init_source": "random numbers"}
STILL = QUICK["train"] | {"epochs": 1, "lr": 1e-12, "weight_decay": 0.0}  # a training that leaves weights as they began


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("start") / "w"
    (root / "weights").mkdir(parents=True)
    save_file(start_tensors(), root / FILE)
    return make_workspace(root, model=MODEL, train=STILL)


def start_tensors(classes: int = 5) -> dict[str, torch.Tensor]:
    torch.manual_seed(7)
    return build("small_resnet", (1, 8, 8), classes, {"width": 4}).state_dict()


def forget_of(workspace: Workspace):
    asked = Asked.of([workspace.keys(simulated=True).subject("contributor-003")], [])
    return forget_set(workspace, plan_deletion(workspace, asked))


def body_of(workspace: Workspace, model) -> torch.Tensor:
    return load_model(workspace, model)[0].state_dict()["3.first.0.weight"]


def test_originals_golds_and_references_begin_with_it_also_when_the_file_has_moved(workspace, monkeypatch):
    data, params = data_ref(workspace), workspace.params
    begun = start_tensors()["3.first.0.weight"]
    original = train_original(workspace, data, params)
    assert torch.allclose(body_of(workspace, original), begun, atol=1e-6)
    moved = workspace.root / "elsewhere.safetensors"
    shutil.move(workspace.root / FILE, moved)
    try:
        with pytest.raises(ConfigError, match=r"there is no file weights/start\.safetensors"):
            _ = workspace.reread().params
        stored = params.stored()  # what a deletion keeps
        assert stored.model.init is None and stored.model.init_sha256 == params.model.init_sha256
        gold = train_gold(workspace, data, forget_of(workspace), stored, run=1)
        assert torch.allclose(body_of(workspace, gold), begun, atol=1e-6)
        begins = []
        whole = start.begin
        monkeypatch.setattr(start, "begin", lambda model, given: begins.append(given.sha256) or whole(model, given))
        quick = params.references.model_copy(update={"pairs": 1, "inner": False})
        fit_references(workspace, data, stored.model_copy(update={"references": quick}))
        assert begins == [params.model.init_sha256] * 2
    finally:
        shutil.move(moved, workspace.root / FILE)


def test_the_digest_and_not_the_place_determines_what_is_made(workspace):
    params, data = workspace.params, data_ref(workspace)
    copied = workspace.root / "copy.safetensors"
    shutil.copyfile(workspace.root / FILE, copied)
    there = workspace.pinned(_with(Params.model_validate(params.model_dump()), init=copied.name, init_sha256=None))
    assert there.model.made_of() == params.model.made_of()
    assert rules_of(there) == rules_of(params)
    assert train_original(workspace, data, there) == train_original(workspace, data, params)
    plain = _with(params, init=None, init_sha256=None)
    assert train_original(workspace, data, plain) != train_original(workspace, data, params)


def test_changed_bytes_are_refused_with_both_digests(workspace):
    params, path = workspace.params, workspace.root / "changed.safetensors"
    raw = bytearray((workspace.root / FILE).read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ConfigError) as refused:
        workspace.pinned(_with(params, init=path.name))
    found = workspace.pinned(_with(params, init=path.name, init_sha256=None)).model.init_sha256
    assert params.model.init_sha256 in str(refused.value) and found in str(refused.value)
    with pytest.raises(StorageError, match=r"f{64}"):
        keep_start(workspace, _with(params, init=None, init_sha256="f" * 64))
    late = workspace.pinned(_with(params, init=path.name, init_sha256=None))
    path.write_bytes(b"\0" + raw)  # between planning and training
    with pytest.raises(ModelError, match="were changed"):
        keep_start(workspace, late)


def test_what_is_no_start_is_refused_and_nothing_is_kept(workspace):
    held = len(workspace.artifacts.manifests("start"))
    (workspace.root / "text.safetensors").write_text("no weights")
    original = train_original(workspace, data_ref(workspace), workspace.params)
    bundle = workspace.artifacts.fetch(original.uri, original.digest)
    shutil.copyfile(bundle / "weights.safetensors", workspace.root / "own.safetensors")
    for name, said in (
        ("text", "no safetensors file"),
        ("own", "a model that was trained or adopted in this workspace"),
    ):
        with pytest.raises(ModelError, match=said):
            start_of(workspace, workspace.pinned(Params(model=ModelConfig(init=f"{name}.safetensors"))))
    assert len(workspace.artifacts.manifests("start")) == held


def test_constants_lie_in_the_bundle_and_answer_as_in_training(workspace):
    params = _with(workspace.params, mean=(0.3,), std=0.7)
    model = train_original(workspace, data_ref(workspace), params)
    loaded, arch = load_model(workspace, model)
    assert (arch.mean, arch.std) == ((0.3,), (0.7,))
    assert loaded[0].mean == 0.3 and loaded[0].std == 0.7
    identity = read(workspace.artifacts.fetch(model.uri, model.digest))["identity"]
    assert identity["model"]["mean"] == [0.3] and identity["model"]["std"] == 0.7
    assert Arch("small_resnet", (1, 8, 8), ("a", "b")).as_json().keys() == {"name", "shape", "classes", "options"}


def test_defaults_leave_digests_as_they_were_and_bad_constants_are_refused():
    assert Params().model.model_dump() == {"name": "small_resnet", "options": {}}
    for key, value in (
        *(("std", 0.0), ("std", (1.0, -1.0)), ("mean", ()), ("init_sha256", "abc")),
        *(("init_source", "/data/imagenet"), ("init_source", "ImageNet\n# A heading")),
    ):
        with pytest.raises(ValueError, match=key):
            ModelConfig(**{key: value})


def test_the_sentence_names_digest_and_source(workspace):
    said = said_of_start(workspace.params.model)
    assert workspace.params.model.init_sha256 in said and "random numbers" in said and "not reached" in said
    assert said_of_start(Params().model) is None


def test_params_yaml_says_where_it_is(workspace):
    raw = yaml.safe_load((workspace.root / "params.yaml").read_text())
    assert raw["model"]["init"] == FILE
    kept = keep_start(workspace, workspace.params)
    assert isinstance(kept, Path) and load_file(kept).keys() == start_tensors().keys()


def _with(params: Params, **changes) -> Params:
    return params.model_copy(update={"model": params.model.model_copy(update=changes)})


def test_a_file_that_cannot_be_read_is_named(workspace, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    params = _with(workspace.params, init_sha256=None)
    with pytest.raises(ConfigError, match="cannot be read"):
        workspace.pinned(_with(params, init="a" * 5_000))
    kept = keep_start(workspace, workspace.params)
    (workspace.root / FILE).touch()  # so that it is read anew
    monkeypatch.setattr(start_file, "sha256_file", refused)
    with pytest.raises(ConfigError, match=f"{FILE} cannot be read"):
        workspace.pinned(params)
    monkeypatch.setattr(starts, "load_file", refused)
    with pytest.raises(ModelError, match=r"weights\.safetensors cannot be read"):
        read_start(kept)
