"""Bundles: what is saved comes back, equal weights give equal bytes, and nothing altered is accepted."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tmu import manifest
from tmu.errors import ModelError
from tmu.models.bundle import Arch, load_bundle, save_bundle
from tmu.models.bundle_files import weights_digest

ARCH = Arch("small_resnet", (1, 8, 8), ("zero", "one", "two"), {"width": 4})
IDENTITY = {"stage": "train", "seed": 3}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return ARCH.build()


@pytest.fixture
def folder(tmp_path, model):
    save_bundle(tmp_path / "bundle", model, ARCH, IDENTITY)
    return tmp_path / "bundle"


def test_round_trip(folder, model):
    before = torch.get_rng_state()
    loaded, arch, identity = load_bundle(folder)
    assert torch.equal(torch.get_rng_state(), before)  # loading must not shift anybody's random numbers
    assert (arch, identity) == (ARCH, IDENTITY)
    assert not loaded.training
    x = torch.rand(5, 1, 8, 8)
    assert torch.equal(loaded(x), model.eval()(x))


def test_equal_weights_give_equal_bytes(folder, tmp_path, model):
    save_bundle(tmp_path / "again", model.to(memory_format=torch.channels_last), ARCH, IDENTITY)
    assert weights_digest(folder) == weights_digest(tmp_path / "again")
    assert manifest.digest(folder) == manifest.digest(tmp_path / "again")
    with torch.no_grad():
        next(model.parameters()).add_(1e-3)
    save_bundle(tmp_path / "other", model, ARCH, IDENTITY)
    assert weights_digest(folder) != weights_digest(tmp_path / "other")


def test_half_precision_is_stored_as_fp32(tmp_path, model):
    save_bundle(tmp_path / "half", model.bfloat16(), ARCH, IDENTITY)
    tensors = load_file(tmp_path / "half" / "weights.safetensors").values()
    assert {tensor.dtype for tensor in tensors} == {torch.float32, torch.int64}
    load_bundle(tmp_path / "half")


def test_run_record_is_allowed_and_outside_the_digest(folder):
    before = manifest.digest(folder)
    (folder / "run.json").write_text("{}")
    load_bundle(folder)
    assert manifest.digest(folder) == before


@pytest.mark.parametrize("name", ["weights.safetensors", "arch.json"])
def test_one_changed_byte_is_refused(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(ModelError, match=name):
        load_bundle(folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "arch.json", "manifest.json"])
def test_missing_file_is_refused(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name):
        load_bundle(folder)


@pytest.mark.parametrize("name", ["weights.pt", "model.pkl", "deep/model.pkl", "notes.txt"])
def test_foreign_file_is_refused_listed_or_not(folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"x")
    with pytest.raises(ModelError, match=name):
        load_bundle(folder)
    manifest.seal(folder, "model", IDENTITY)  # a manifest made to fit does not help
    with pytest.raises(ModelError, match=name):
        load_bundle(folder)


def test_link_in_place_of_a_file_is_refused(folder, tmp_path):
    (folder / "arch.json").rename(tmp_path / "elsewhere.json")
    (folder / "arch.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ModelError, match=r"arch\.json"):
        load_bundle(folder)


def test_tensors_that_do_not_fit_are_refused(folder):
    path = folder / "weights.safetensors"
    tensors = load_file(path)
    for change in ({"8.bias": tensors["8.bias"][:2]}, {"8.bias": tensors["8.bias"].int()}, {"more": torch.ones(1)}):
        save_file({**tensors, **change}, path)
        manifest.seal(folder, "model", IDENTITY)
        with pytest.raises(ModelError, match=next(iter(change))):
            load_bundle(folder)


@pytest.mark.parametrize(("name", "content"), [("weights.safetensors", b"junk"), ("arch.json", b'{"name": "x"}')])
def test_unreadable_content_is_refused(folder, name, content):
    (folder / name).write_bytes(content)
    manifest.seal(folder, "model", IDENTITY)
    with pytest.raises(ModelError, match=name):
        load_bundle(folder)


def test_other_kind_is_refused(folder):
    raw = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**raw, "kind": "audit"}))
    with pytest.raises(ModelError, match="audit"):
        load_bundle(folder)
