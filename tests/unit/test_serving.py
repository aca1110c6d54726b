"""The served model: one input contract, and no copy of it left in the temporary folder, whatever happens."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch

from tmu import serving
from tmu.errors import DataError, ModelError, RequestError
from tmu.models.bundle import Arch, load_bundle, save_bundle
from tmu.stores.mlflow import ModelRegistry

ARCH = Arch("small_resnet", (1, 8, 8), ("a", "b", "c"), {"width": 4})


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "b"
    torch.manual_seed(0)
    save_bundle(folder, ARCH.build(), ARCH, {"seed": 0})
    return folder


@pytest.fixture(scope="module")
def registry(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelRegistry:
    registry = ModelRegistry(None, tmp_path_factory.mktemp("home"))
    facts = {"role": "gold", "params": {}, "tags": {}, "metrics": {}, "data_digest": "0", "n_records": {"train": 1}}
    registry.set_alias("d", "champion", registry.register(bundle, dataset="d", **facts))
    return registry


def test_it_answers_like_the_bundle(bundle: Path) -> None:
    pixels = torch.rand(5, 1, 8, 8)
    with torch.inference_mode():
        expected = torch.softmax(load_bundle(bundle)[0](pixels), 1).numpy()
    for model in (serving.load(bundle), serving._load_pyfunc(str(bundle))):
        assert np.array_equal(model.predict(pixels.numpy()), expected)
    assert (model.classes, model.shape) == (("a", "b", "c"), (1, 8, 8))


@pytest.mark.parametrize(
    ("pixels", "what"),
    [
        (np.zeros((1, 1, 8, 8), np.int64), "int64, not float32 or uint8"),
        (np.zeros((1, 1, 8, 8), np.float64), "float64, not float32 or uint8"),
        (np.zeros((1, 3, 8, 8), np.float32), r"\(1, 3, 8, 8\)"),
        (np.zeros((8, 8), np.float32), r"\(8, 8\)"),
        (np.full((1, 1, 8, 8), 255, np.float32), "not in 0..1"),
        (np.full((1, 1, 8, 8), np.nan, np.float32), "not in 0..1"),
    ],
)
def test_other_pixels_are_refused_and_the_advice_is_taken(bundle: Path, pixels: np.ndarray, what: str) -> None:
    model = serving.load(bundle)
    with pytest.raises(DataError, match=what) as refused:
        model.predict(pixels)
    assert "uint8 in 0..255" in refused.value.hint
    taken = np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8)
    assert np.array_equal(model.predict(taken), model.predict(taken.astype("float32") / 255))


@pytest.mark.parametrize(
    "uri", ["models:/tmu-d@nobody", "models:/tmu-d/7", "models:/tmu-d", "runs:/x", "tmu-d@champion"]
)
def test_an_address_of_nothing_is_refused(registry: ModelRegistry, uri: str) -> None:
    with pytest.raises(RequestError):
        registry.find(uri)


def test_both_forms_of_address_find_the_version(registry: ModelRegistry) -> None:
    assert registry.find("models:/tmu-d@champion") == registry.find("models:/tmu-d/1")


LOAD = "import sys, numpy as np\nfrom tmu import serving\nmodel = serving.load_model('models:/tmu-d@champion')\n"
PREDICT = "assert model.predict(np.zeros((1, 1, 8, 8), np.float32)).shape == (1, 3)\n"
BREAK = "import tmu.models.served\ndef broken(*_): raise MemoryError\ntmu.models.served.load_bundle = broken\n"
PLAIN = "import numpy as np, mlflow\nmodel = mlflow.pyfunc.load_model('models:/tmu-d@champion')\n" + PREDICT


@pytest.mark.parametrize(
    ("code", "status"),
    [(LOAD + PREDICT, 0), (LOAD + "raise SystemExit(3)", 3), (BREAK + LOAD, 1), (PLAIN, 0)],
    ids=["loaded", "exit", "error-in-between", "plain pyfunc, without a server"],
)
def test_nothing_is_left_in_the_temporary_folder(
    registry: ModelRegistry, tmp_path: Path, code: str, status: int
) -> None:
    assert child(code, registry, tmp_path).returncode == status
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_refused_model_leaves_nothing_either(registry: ModelRegistry, tmp_path: Path) -> None:
    version = registry.find("models:/tmu-d@champion")
    (weights,) = registry.root.rglob(f"{version.model_id}/**/weights.safetensors")
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    try:
        done = child(LOAD, registry, tmp_path)
        with pytest.raises(ModelError, match=r"weights\.safetensors in the stored files"):
            registry.stored(version).__enter__()
    finally:
        weights.write_bytes(sound)
    assert "was changed after it was registered" in done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert list((registry.root / ".tmu").glob(".scratch*")) == []


def child(code: str, registry: ModelRegistry, folder: Path) -> subprocess.CompletedProcess:
    """Run code in a process whose temporary folder is `folder` and whose MLflow is the registry's."""
    environment = os.environ | {"TMPDIR": str(folder), "MLFLOW_TRACKING_URI": registry.uri}
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("uri", ["models:/tmu-d/1", "models:/{0.model_id}", "runs:/{0.run_id}/gold"])
@pytest.mark.parametrize("serving_tag", ["blocked", "purged"])
def test_plain_pyfunc_refuses_a_blocked_model_by_name(
    bundle: Path, tmp_path: Path, uri: str, serving_tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = ModelRegistry(None, tmp_path)
    facts = {"role": "gold", "params": {}, "tags": {}, "metrics": {}, "data_digest": "0", "n_records": {"train": 1}}
    version = registry.register(bundle, dataset="d", **facts)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    address = uri.format(version)
    assert mlflow.pyfunc.load_model(address).predict(np.zeros((1, 1, 8, 8), np.float32)).shape == (1, 3)
    with registry.connected() as client:
        client.set_model_version_tag("tmu-d", "1", "serving", serving_tag)
    with pytest.raises(DataError, match=f"tmu-d, version 1, (is|was) {serving_tag}"):
        mlflow.pyfunc.load_model(address)


def test_a_copy_that_mlflow_made_is_removed_and_others_are_not(
    registry: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = registry.find("models:/tmu-d/1")
    (stored,) = registry.root.rglob(f"{version.model_id}/artifacts")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made, mine, named = tmp_path / "tmpab12cd34", tmp_path / "tmpzz12cd34", tmp_path / "model"
    for folder in (made, mine, named):
        shutil.copytree(stored, folder)
        (folder / "registered_model_meta").unlink(missing_ok=True)
    for folder in (made, named):
        (folder / "registered_model_meta").write_text("model_name: tmu-d\n")
    for folder in (made, mine, named):
        assert serving._load_pyfunc(str(folder / "data" / "bundle")).classes == ARCH.classes
    assert [folder.exists() for folder in (made, mine, named)] == [False, True, True]
