"""MLflow: a version once per model, loadable by alias without pickle, comparable by metric names, free of paths."""

import os
import re
import subprocess
import sys
import threading

import mlflow
import numpy as np
import pytest
import torch

from tmu.errors import ConfigError, StorageError
from tmu.models.bundle import Arch, load_bundle, save_bundle
from tmu.models.bundle_files import weights_digest
from tmu.stores.mlflow import ModelRegistry

ARCH = Arch("small_resnet", (1, 8, 8), ("a", "b", "c"), {"width": 4})
DATA = "0123456789abcdef0123456789abcdef.dir"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("secret-folder")


@pytest.fixture(scope="module")
def registry(home):
    return ModelRegistry(None, home)


def bundle(home, seed):
    folder = home / f"bundle-{seed}"
    if not folder.exists():
        torch.manual_seed(seed)
        save_bundle(folder, ARCH.build(), ARCH, {"seed": seed})
    return folder


def register(registry, home, seed, role="original", **changes):
    given = {
        "dataset": "digits",
        "role": role,
        "params": {"seed": seed, "train": {"epochs": 2}},
        "tags": {"method": "tmu", "parent": "1"},
        "metrics": {"accuracy_test": 0.5},
        "data_digest": DATA,
        "n_records": {"train": 12, "test": 3},
        "history": [{"epoch": 0, "loss": 1.5}, {"epoch": 1, "loss": 0.5, "accuracy_holdout_pct": 91.0}],
    }
    return registry.register(bundle(home, seed), **{**given, **changes})


@pytest.fixture(scope="module")
def original(registry, home):
    return register(registry, home, 0)


@pytest.fixture
def client(registry, original):
    return mlflow.MlflowClient(registry.uri, registry.uri)


def test_registering_twice_gives_one_version(registry, home, original):
    before = len(registry.versions("digits"))
    assert register(registry, home, 0) == original
    assert len(registry.versions("digits")) == before
    other_data = register(registry, home, 0, data_digest="f" * 32 + ".dir")
    other_role = register(registry, home, 0, role="gold")
    assert [item.version for item in registry.versions("digits")][before:] == [other_data.version, other_role.version]


def test_racing_threads_register_once(registry, home):
    bundle(home, 7)
    threads = [
        threading.Thread(target=register, args=(registry, home, 7), kwargs={"dataset": "race"}) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(registry.versions("race")) == 1


def test_version_names_what_it_was_made_from(original, home):
    assert original.weights_sha256 == weights_digest(bundle(home, 0))
    assert original.tags["data_revision"] == DATA
    assert (original.tags["method"], original.tags["parent"], original.role) == ("tmu", "1", "original")
    assert {"forget_set_digest", "git_commit", "lock_digest"} <= set(original.tags)


def test_alias_loads_equal_outputs_by_mlflow_alone(registry, home, original, monkeypatch):
    registry.set_alias("digits", "candidate", original)
    assert registry.get_alias("digits", "candidate") == original
    x = torch.rand(5, 1, 8, 8)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    loaded = mlflow.pyfunc.load_model("models:/tmu-digits@candidate")
    with torch.inference_mode():
        expected = torch.softmax(load_bundle(bundle(home, 0))[0](x), 1).numpy()
    assert np.array_equal(loaded.predict(x.numpy()), expected)
    assert loaded.predict(x[:1].numpy()).shape == (1, 3)  # any batch size
    with pytest.raises(mlflow.MlflowException, match="shape"):
        loaded.predict(np.zeros((1, 3, 8, 8), np.float32))


def test_absent_alias_and_dataset(registry, original):
    assert registry.get_alias("digits", "nobody") is None
    assert registry.get_alias("nothing", "candidate") is None
    assert registry.versions("nothing") == []


def test_audit_numbers_reach_run_and_model(registry, client, original, home):
    gold = register(registry, home, 1, role="gold")
    for version, value in ((original, 0.9), (gold, 0.5)):
        registry.log_audit(version, {"mia_auc": value, "accuracy_test": value})
        assert client.get_run(version.run_id).data.metrics["mia_auc"] == value
        logged = {metric.key: metric.value for metric in client.get_logged_model(version.model_id).metrics}
        assert logged["mia_auc"] == value
        assert set(logged) == {"mia_auc", "accuracy_test"}
    versions = registry.compare_url_hint([original, gold])
    closeness = registry.alignment_url_hint([original, gold])
    for url in (versions, closeness):
        assert original.run_id in url and gold.run_id in url
        assert url.endswith("&workflowType=machine_learning")  # MLflow opens its pages for language models otherwise
    assert "tmu-digits" in versions and "average_gap" in closeness


def test_runs_are_named_by_role_or_method_and_number(registry, client, original, home):
    unlearned = register(registry, home, 2, role="unlearned")
    for version, label in ((original, "original"), (unlearned, "tmu")):
        assert client.get_run(version.run_id).info.run_name == f"{label} v{version.version}"
    client.update_run(unlearned.run_id, name="unlearned")  # as a crash before the naming leaves it
    register(registry, home, 2, role="unlearned")
    assert client.get_run(unlearned.run_id).info.run_name == f"tmu v{unlearned.version}"


def test_run_holds_params_history_and_data(client, original):
    run = client.get_run(original.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"seed": "0", "train.epochs": "2"}
    assert [(point.step, point.value) for point in client.get_metric_history(original.run_id, "train/loss")] == [
        (0, 1.5),
        (1, 0.5),
    ]
    held = client.get_metric_history(original.run_id, "train/accuracy_holdout_pct")
    assert [(point.step, point.value) for point in held] == [(1, 91.0)]
    inputs = {item.dataset.name: item for item in run.inputs.dataset_inputs}
    assert set(inputs) == {"tmu/digits/train", "tmu/digits/test"}
    assert inputs["tmu/digits/train"].dataset.digest == DATA
    assert {tag.key: tag.value for tag in inputs["tmu/digits/train"].tags}["n_records"] == "12"
    assert [output.model_id for output in run.outputs.model_outputs] == [original.model_id]


def test_long_digest_is_cut_and_kept_whole_in_tags(registry, home, client):
    version = register(registry, home, 2, data_digest="a" * 64)
    (item, _) = client.get_run(version.run_id).inputs.dataset_inputs
    assert item.dataset.digest == "a" * 36
    assert {tag.key: tag.value for tag in item.tags}["data_digest"] == "a" * 64


def test_no_path_and_no_pickle_is_stored(registry, client, original, home):
    run, version = client.get_run(original.run_id), client.get_model_version("tmu-digits", str(original.version))
    written = [*run.data.tags.values(), *run.data.params.values(), *version.tags.values(), version.source]
    assert not [text for text in written if str(home) in text or text.startswith("/")]
    folder = home / ".tmu" / "mlartifacts" / "tmu-digits" / "models" / original.model_id / "artifacts"
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert "data/bundle/weights.safetensors" in files
    assert {path.suffix for path in files.values()} <= {"", ".txt", ".yaml", ".json", ".safetensors"}
    text = "".join(path.read_text() for path in files.values() if path.suffix != ".safetensors")
    assert str(home) not in text
    assert not re.search(r"(^|\s)tmu==", files["requirements.txt"].read_text())


@pytest.mark.parametrize("bad", [{"tags": {"report": "/home/x/y.html"}}, {"params": {"data": {"root": "/data"}}}])
def test_paths_are_refused(registry, home, bad):
    with pytest.raises(ConfigError, match="path"):
        register(registry, home, 3, dataset="refused", **bad)
    assert registry.versions("refused") == []


def test_batch_is_the_parent_run(registry, home, client):
    batch = registry.start_batch("request 4", {"request_batch": "4"}, dataset="digits")
    child = register(registry, home, 4, role="unlearned", parent_run=batch)
    registry.close(batch)
    assert client.get_run(child.run_id).data.tags["mlflow.parentRunId"] == batch
    assert client.get_run(batch).info.status == "FINISHED"
    assert client.get_run(batch).info.experiment_id == client.get_run(child.run_id).info.experiment_id


def test_failed_and_killed_runs_do_not_stay_running(registry, home, client, monkeypatch):
    def runs(status):
        experiment = client.get_experiment_by_name("tmu-fail")
        return client.search_runs([experiment.experiment_id], f"attributes.status = '{status}'")

    with monkeypatch.context() as patch:
        patch.setattr("tmu.stores.mlflow_versions.create", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            register(registry, home, 5, dataset="fail")
    (failed,) = runs("FAILED")
    client.update_run(failed.info.run_id, "RUNNING")  # as kill -9 would have left it
    register(registry, home, 5, dataset="fail")
    assert [run.info.run_id for run in runs("KILLED")] == [failed.info.run_id]
    assert len(runs("FINISHED")) == len(registry.versions("fail")) == 1


def test_files_are_logged_to_the_run(registry, home, client, original):
    report = home / "audit"
    report.mkdir()
    (report / "report.html").write_text("<p>")
    registry.log_files(original, report, "audit")
    assert [item.path for item in client.list_artifacts(original.run_id, "audit")] == ["audit/report.html"]


def test_altered_bundle_is_not_registered(registry, home):
    folder = bundle(home, 6)
    (folder / "arch.json").write_text((folder / "arch.json").read_text() + " ")
    with pytest.raises(Exception, match=r"arch\.json"):
        register(registry, home, 6, dataset="refused")
    assert registry.versions("refused") == []


def test_unreachable_server_says_so(home, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(StorageError, match="MLflow refused"):
        ModelRegistry("http://127.0.0.1:9", home).versions("digits")


def test_pages_command(registry, home):
    assert f"--backend-store-uri sqlite:///{home}" in registry.ui_command()
    assert ModelRegistry("http://tracker:5000", home).ui_command() == "http://tracker:5000"


def test_first_use_in_a_fresh_process_is_quiet_and_local(home, tmp_path):
    """Nothing on the terminal, nothing in the working folder, and MLflow's process-wide address as it was."""
    code = (
        "import os, sys; from pathlib import Path; from tmu.stores.mlflow import ModelRegistry\n"
        "assert 'mlflow' not in sys.modules\n"
        "v = ModelRegistry(None, Path('ws')).register(Path(sys.argv[1]), dataset='d', role='gold', params={}, tags={},"
        " metrics={'m': 1.0}, data_digest='0', n_records={'train': 1})\n"
        "assert v.version == 1 and 'MLFLOW_TRACKING_URI' not in os.environ\n"
        "assert os.environ['MLFLOW_DISABLE_TELEMETRY'] == 'true'\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    command = [sys.executable, "-W", "ignore::FutureWarning", "-c", code, str(bundle(home, 0))]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["ws"]
