"""Behind an MLflow server, which sends a model: checked, loaded, and nothing of it left in the temporary folder."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.mlflow_tools import mlflow_server
from tmu.errors import ModelError
from tmu.models.bundle import Arch, save_bundle
from tmu.stores.mlflow import ModelRegistry

pytestmark = pytest.mark.slow
ARCH = Arch("small_resnet", (1, 8, 8), ("a", "b", "c"), {"width": 4})
OURS = "from tmu import serving; load = serving.load_model\n"
PLAIN = "import mlflow; load = mlflow.pyfunc.load_model\n"
USE = (
    "import numpy as np\nmodel = load('models:/tmu-d@champion')\n"
    "assert model.predict(np.zeros((1, 1, 8, 8), 'float32')).shape == (1, 3)\n"
)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelRegistry]:
    """A registry behind a server of its own, with one version in service."""
    home = tmp_path_factory.mktemp("server")
    with mlflow_server(home) as url:
        torch.manual_seed(0)
        save_bundle(home / "bundle", ARCH.build(), ARCH, {"seed": 0})
        registry = ModelRegistry(url, home / "w")
        facts = {"role": "gold", "params": {}, "tags": {}, "metrics": {}, "data_digest": "0", "n_records": {"train": 1}}
        registry.set_alias("d", "champion", registry.register(home / "bundle", dataset="d", **facts))
        yield registry


def files_left(code: str, registry: ModelRegistry, folder: Path) -> list[str]:
    """What a child process leaves in its temporary folder."""
    environment = os.environ | {"TMPDIR": str(folder), "MLFLOW_TRACKING_URI": registry.uri}
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_our_loader_leaves_nothing(registry: ModelRegistry, tmp_path: Path) -> None:
    assert files_left(OURS + USE, registry, tmp_path) == []


def test_plain_pyfunc_leaves_nothing_either(registry: ModelRegistry, tmp_path: Path) -> None:
    assert files_left(PLAIN + USE, registry, tmp_path) == []


def test_the_copy_is_mlflows_own_doing(registry: ModelRegistry, tmp_path: Path) -> None:
    """Without our loader's care it stays; where MLflow fixes that, `mlflow_copies` may go."""
    careless = "from tmu.stores import mlflow_copies\nmlflow_copies.discard_copy = lambda bundle: False\n"
    assert "weights.safetensors" in files_left(careless + PLAIN + USE, registry, tmp_path)


def test_what_the_server_sends_is_checked(registry: ModelRegistry) -> None:
    version = registry.find("models:/tmu-d@champion")
    with registry.stored(version) as bundle:
        assert (bundle / "weights.safetensors").is_file()
    assert list((registry.root / ".tmu").iterdir()) == [registry.root / ".tmu" / "mlflow.lock"]
    (described,) = (registry.root.parent / "stored").rglob("MLmodel")
    described.write_text(described.read_text() + "\n")
    with pytest.raises(ModelError, match="MLmodel in the stored files of tmu-d, version 1, was changed"):
        registry.stored(version).__enter__()
