"""An exported model is on record: a purge names the copy until its holder says that it is destroyed."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.purge_tools import AFTER, BEFORE
from tmu.errors import ConfigError, DataError, RequestError, StorageError
from tmu.export.kept import exports_of
from tmu.models.bundle import Arch, save_bundle
from tmu.purge.places.exports import Exports
from tmu.purge.scope import Scope
from tmu.purge.trace import Action
from tmu.steps import export_model as step
from tmu.steps.export_model import export_model, withdraw_export
from tmu.workspace import Workspace

ARCH = Arch("small_resnet", (1, 8, 8), ("a", "b", "c"), {"width": 4})
FACTS = {"role": "original", "params": {}, "tags": {}, "metrics": {}, "data_digest": "0", "n_records": {"train": 1}}


def scope(**changes: object) -> Scope:
    return Scope(request="r", records=("aa",), before=BEFORE, after=AFTER, **changes)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with one registered version of random weights, of which no record is kept."""
    from contextlib import contextmanager

    home = tmp_path / "home"
    home.mkdir()
    (home / "params.yaml").write_text("seed: 0\n")
    workspace = Workspace.open(home)
    save_bundle(tmp_path / "bundle", ARCH.build(), ARCH, {"seed": 0})
    version = workspace.registry.register(tmp_path / "bundle", dataset="d", **FACTS)
    workspace.registry.set_alias("d", "champion", version)

    @contextmanager
    def unrecorded(workspace, version):
        if version.refused:
            raise DataError("blocked", "")
        with workspace.registry.stored(version) as bundle:
            yield bundle

    monkeypatch.setattr(step, "checked_bundle", unrecorded)
    return workspace


def test_an_export_is_named_by_a_purge_until_it_is_withdrawn(workspace, tmp_path):
    version = workspace.registry.find("models:/tmu-d@champion")
    export = export_model(workspace, version, tmp_path / "out", ["safetensors"])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*export.files}
    assert json.loads((tmp_path / "out" / "config.json").read_text())["num_labels"] == 3
    place = Exports(workspace)
    learned = scope(learned=(version.weights_sha256,))
    (trace,) = place.find(learned)
    assert trace.action is Action.KEEP
    assert f"tmu export withdraw {export.id}" in trace.why
    place.purge(learned, trace)
    assert list(place.find(learned)) == [trace]
    assert list(place.find(scope())) == []  # of a model that learned nobody of the scope
    assert list(place.find(scope(learned=learned.learned, spared=learned.learned))) == []
    withdrawn = withdraw_export(workspace, export.id)
    assert withdraw_export(workspace, export.id) == withdrawn
    assert list(place.find(learned)) == []
    assert [each.withdrawn for each in exports_of(workspace)] == [withdrawn.withdrawn]


def test_what_is_there_is_not_replaced_and_what_is_blocked_not_exported(workspace, tmp_path):
    version = workspace.registry.find("models:/tmu-d@champion")
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match="is there already"):
        export_model(workspace, version, tmp_path / "out", ["safetensors"])
    with pytest.raises(ConfigError, match="no form"):
        export_model(workspace, version, tmp_path / "new", ["pickle"])
    workspace.registry.block("d", version)
    with pytest.raises(DataError):
        export_model(workspace, workspace.registry.find("models:/tmu-d/1"), tmp_path / "new", ["safetensors"])
    assert not (tmp_path / "new").exists()
    assert list(exports_of(workspace)) == []
    with pytest.raises(RequestError, match="no export"):
        withdraw_export(workspace, "0")


def test_a_disk_that_fails_leaves_a_record_and_no_half_folder(workspace, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step.shutil, "copytree", full)
    with pytest.raises(StorageError):
        export_model(workspace, workspace.registry.find("models:/tmu-d@champion"), tmp_path / "out", ["safetensors"])
    assert not (tmp_path / "out").exists()
    assert len(list(exports_of(workspace))) == 1


def test_half_a_copy_does_not_stay(workspace, tmp_path, monkeypatch):
    whole = step.shutil.copytree

    def full(source, target):
        whole(source, target)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step.shutil, "copytree", full)
    (tmp_path / "to").mkdir()
    with pytest.raises(StorageError):
        export_model(
            workspace, workspace.registry.find("models:/tmu-d@champion"), tmp_path / "to" / "o", ["safetensors"]
        )
    assert list((tmp_path / "to").iterdir()) == []


def test_the_card_tells_of_the_version_and_not_of_what_params_yaml_says_now(workspace, tmp_path):
    started, now = "a" * 64, "b" * 64
    save_bundle(tmp_path / "exact", ARCH.build(), ARCH, {"start": started})
    facts = FACTS | {"role": "unlearned", "tags": {"method": "exact-head"}}
    version = workspace.registry.register(tmp_path / "exact", dataset="d", **facts)
    (workspace.root / "params.yaml").write_text(f"model: {{init_sha256: {now}}}\n")
    export_model(workspace.reread(), version, tmp_path / "out", ["safetensors"])
    card = (tmp_path / "out" / "README.md").read_text()
    assert started in card and now not in card
    assert "that is exact" in card and "approximate" not in card


def test_mlflow_serves_names_and_takes_bytes_by_scale(workspace, monkeypatch):
    """`mlflow models serve` runs this app."""
    import mlflow
    from fastapi.testclient import TestClient
    from mlflow.pyfunc.scoring_server import init

    from tmu.serving import load_model

    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):  # `mlflow.set_tracking_uri` would outlive the test
        monkeypatch.setenv(name, workspace.registry.uri)
    loaded = mlflow.pyfunc.load_model("models:/tmu-d@champion")
    bytes_ = np.random.default_rng(0).integers(0, 256, (2, 1, 8, 8))
    expected = load_model("models:/tmu-d@champion").predict(bytes_.astype(np.uint8))
    assert np.allclose(expected, loaded.predict((bytes_ / 255).astype(np.float32)), atol=1e-6)
    client = TestClient(init(loaded))
    asked = {"inputs": bytes_.tolist(), "params": {"scale": 255}}
    answer = client.post("/invocations", json=asked)
    assert answer.status_code == 200, answer.text
    rows = answer.json()["predictions"]
    assert [*rows[0]] == ["a", "b", "c"]
    assert np.allclose([[*row.values()] for row in rows], expected, atol=1e-6)
    assert client.post("/invocations", json={"inputs": bytes_.tolist()}).status_code != 200  # not in 0..1
    assert client.post("/invocations", json=asked | {"params": {"scale": 7}}).status_code != 200
