"""A whole deletion through Prefect, on real data: what changes, what stays, what is left behind; and a second one."""

import json
from pathlib import Path

import pytest

from tests.integration.conftest import make_workspace
from tmu.data.digest import manifest
from tmu.data.store import RecordStore
from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.errors import RequestError
from tmu.steps.loading import data_ref, open_store
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow
PEOPLE = [f"contributor-{number:03d}" for number in range(8)]


@pytest.fixture(scope="module")
def done(prefect_server: dict, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict, dict]:
    """A workspace after its first deletion: (workspace, outcome, state before)."""
    from flows.delete_local import delete_local_flow

    workspace = make_workspace(tmp_path_factory.mktemp("workspace") / "w", unlearn={"method": "tmu"})
    subjects = [workspace.keys(simulated=True).subject(name) for name in PEOPLE]
    before = {"files": manifest(workspace.data), "digest": data_ref(workspace).digest, "subjects": subjects}
    outcome = delete_local_flow(home=str(workspace.root), subjects=subjects)
    return Workspace.open(workspace.root), outcome, before


def found(workspace: Workspace, outcome: dict) -> Deletion:
    return Journal(workspace).find(outcome["request"])


def test_only_the_touched_shards_of_the_data_differ(done: tuple[Workspace, dict, dict]) -> None:
    workspace, outcome, before = done
    deletion = found(workspace, outcome)
    touched = {f"shards/{bucket:02x}.parquet" for bucket in deletion.plan.shards}
    after = manifest(workspace.data)
    assert {name for name in before["files"] if after.get(name) != before["files"][name]} == touched
    assert set(after) == set(before["files"])
    listing = json.loads(_object(workspace, outcome["data"]["digest"]).read_text())
    assert {item["relpath"]: item["md5"] for item in listing} == after


def test_the_people_are_gone_from_the_data_and_all_others_are_there(done: tuple[Workspace, dict, dict]) -> None:
    workspace, outcome, before = done
    index = open_store(workspace, data_ref(workspace)).index()
    for key in before["subjects"]:
        assert not len(index.find_subject(key))
        assert index.is_erased_subject(key)
    deletion = found(workspace, outcome)
    assert len(index) == 1797 - deletion.plan.n_records
    assert RecordStore.open(workspace.data).verify()


def test_every_model_is_registered_with_its_lineage_and_the_same_metrics(done: tuple[Workspace, dict, dict]) -> None:
    from mlflow import MlflowClient

    workspace, outcome, before = done
    versions = {version.version: version for version in workspace.registry.versions("digits")}
    assert sorted(versions) == [1, 2, 3, 4]
    client = MlflowClient(tracking_uri=workspace.registry.uri)
    names = [set(client.get_run(versions[number].run_id).data.metrics) for number in outcome["versions"].values()]
    shared = {"ua", "accuracy_retain", "accuracy_test", "mia_efficacy", "membership_auc", "forget_confidence"}
    assert all(shared <= found for found in names)
    unlearned = workspace.registry.get_alias("digits", "candidate")
    deletion = found(workspace, outcome)
    assert unlearned.tags["parent"] == deletion.base.weights
    assert unlearned.tags["data_revision"] == outcome["data"]["digest"] != before["digest"]
    assert unlearned.tags["forget_set_digest"] == deletion.forget.digest
    assert unlearned.weights_sha256 == deletion.unlearned.weights
    assert workspace.registry.get_alias("digits", "original").weights_sha256 == deletion.base.weights
    assert workspace.registry.get_alias("digits", "champion").version == outcome["champion"]


def test_the_loaded_version_answers_like_the_bundle(
    done: tuple[Workspace, dict, dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    import numpy as np
    import torch

    from tmu.steps.loading import load_model

    workspace, outcome, _ = done
    deletion = found(workspace, outcome)
    images = np.random.default_rng(0).random((5, 1, 8, 8), dtype=np.float32)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", workspace.registry.uri)
    served = mlflow.pyfunc.load_model("models:/tmu-digits@candidate").predict(images)
    model, _ = load_model(workspace, deletion.unlearned)
    with torch.no_grad():
        assert np.allclose(served, model(torch.from_numpy(images)).softmax(1).numpy(), atol=1e-6)


def test_no_raw_id_is_left_anywhere(done: tuple[Workspace, dict, dict]) -> None:
    workspace, _, before = done
    seen = False
    for path in workspace.root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"contributor-0" not in content, path
            seen = seen or before["subjects"][0].encode() in content
    assert seen  # the search can see: the person's key is in the journal


def test_nothing_on_the_way_still_links_the_people_to_their_records(done: tuple[Workspace, dict, dict]) -> None:
    workspace, _, before = done
    assert list(workspace.state("revisions").glob("*")) == []
    key = before["subjects"][0]
    open_store(workspace, data_ref(workspace)).index()  # made anew where it is missing
    assert not any(bytes.fromhex(key) in path.read_bytes() for path in workspace.state("index").glob("*"))


def test_the_same_request_again_is_refused_and_changes_nothing(done: tuple[Workspace, dict, dict]) -> None:
    from flows.delete_local import delete_local_flow

    workspace, _, before = done
    digest = data_ref(workspace).digest
    with pytest.raises(RequestError, match="erased before"):
        delete_local_flow(home=str(workspace.root), subjects=before["subjects"])
    assert data_ref(workspace).digest == digest
    assert len(workspace.registry.versions("digits")) == 4


def _object(workspace: Workspace, digest: str) -> Path:
    return workspace.root / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]


def _split(workspace: Workspace, digest: str, split: str) -> dict[str, tuple]:
    """(image, label) by record key, straight from a revision's shards: none of the steps' own loading code."""
    import numpy as np
    import pyarrow.parquet as pq

    from tmu.data.records import SPLITS

    found = {}
    for path in (workspace.versions.materialise(digest) / "shards").glob("*.parquet"):
        for row in pq.read_table(path).to_pylist():
            if row["split"] in (split, SPLITS.index(split)):
                pixels = np.frombuffer(row["image"], np.uint8).reshape(1, 8, 8)
                found[_hex(row["record_key"])] = (pixels, row["label"])
    return found


def _hex(key: bytes | str) -> str:
    return key if isinstance(key, str) else key.hex()


def _wrong_pct(workspace: Workspace, weights: str, records: list[tuple]) -> float:
    """Share that a bundle, found by its weights' digest, gets wrong: plain torch on the weights file."""
    import hashlib

    import numpy as np
    import torch
    from safetensors.torch import load_file

    from tmu.models.registry import build

    (path,) = (
        path
        for path in workspace.state("artifacts", "model").glob("*/weights.safetensors")
        if hashlib.sha256(path.read_bytes()).hexdigest() == weights
    )
    model = build("small_resnet", (1, 8, 8), 10, {})
    model.load_state_dict(load_file(path))
    images = torch.from_numpy(np.stack([image for image, _ in records])).float() / 255
    with torch.no_grad():
        answers = model.eval()(images).argmax(1).numpy()
    return 100 * float(np.mean(answers != [label for _, label in records]))


def test_the_audit_is_on_the_sets_it_names_and_says_what_the_weights_say(done: tuple[Workspace, dict, dict]) -> None:
    workspace, outcome, before = done
    forget = set(json.loads((_forget(workspace, outcome) / "forget.json").read_text())["records"])
    train, test = (_split(workspace, before["digest"], split) for split in ("train", "test"))
    sets = {
        "forget": [record for key, record in train.items() if key in forget],
        "retain": [record for key, record in train.items() if key not in forget],
        "test": [record for key, record in test.items() if key not in forget],
    }
    folder = workspace.artifacts.fetch(outcome["audit"]["uri"], outcome["audit"]["digest"])
    audit = json.loads((folder / "audit.json").read_text())
    assert audit["result"]["records"] == {name: len(records) for name, records in sets.items()}
    for row in audit["result"]["rows"]:
        weights = audit["provenance"][f"weights of {row['name']}"]
        cells = {name: cell["value"] for name, cell in row["metrics"].items() if cell}
        assert cells["ua"] == pytest.approx(_wrong_pct(workspace, weights, sets["forget"]))
        assert 100 - cells["accuracy_retain"] == pytest.approx(_wrong_pct(workspace, weights, sets["retain"]))
        assert 100 - cells["accuracy_test"] == pytest.approx(_wrong_pct(workspace, weights, sets["test"]))


def test_every_model_learned_exactly_the_records_it_should(done: tuple[Workspace, dict, dict]) -> None:
    workspace, outcome, before = done
    deletion = found(workspace, outcome)
    train, holdout = (len(_split(workspace, before["digest"], split)) for split in ("train", "holdout"))
    gone = deletion.plan.n_train
    learned = {}
    for folder in workspace.state("artifacts", "model").iterdir():
        if (folder / "run.json").exists():
            stage = json.loads((folder / "manifest.json").read_text())["identity"]["stage"]
            run = json.loads((folder / "run.json").read_text())
            learned.setdefault(stage, set()).add(run.get("n_records") or (run["n_forget"], run["n_retain"]))
    assert learned == {"original": {train}, "gold": {train - gone}, "unlearned": {(gone, train - gone)}}
    twin = workspace.artifacts.fetch(deletion.twin.uri, deletion.twin.digest)
    assert json.loads((twin / "report.json").read_text())["predictor"]["n"] == holdout
    wrong = _wrong_pct(workspace, deletion.base.weights, list(_split(workspace, before["digest"], "holdout").values()))
    n_wrong = json.loads((twin / "report.json").read_text())["predictor"]["n_wrong"]
    assert n_wrong == round(wrong * holdout / 100)


def _forget(workspace: Workspace, outcome: dict) -> Path:
    deletion = found(workspace, outcome)
    return workspace.artifacts.fetch(deletion.forget.uri, deletion.forget.digest)


def test_a_second_deletion_starts_from_the_model_in_service(done: tuple[Workspace, dict, dict]) -> None:
    from flows.delete_local import delete_local_flow

    workspace, first, _ = done
    key = workspace.keys(simulated=True).subject("contributor-050")
    second = delete_local_flow(home=str(workspace.root), subjects=[key], audit=False)
    champion = workspace.registry.get_alias("digits", "champion")
    assert champion.version == first["champion"]  # without an audit nothing goes into service
    deletion = found(workspace, second)
    assert deletion.base.weights == champion.weights_sha256
    assert not Journal(workspace).unfinished()


def test_a_later_audit_leaves_the_numbers_of_an_earlier_one_alone(done: tuple[Workspace, dict, dict]) -> None:
    from mlflow import MlflowClient

    from flows.audit_flow import audit_flow

    workspace, first, _ = done
    client = MlflowClient(tracking_uri=workspace.registry.uri)
    runs = {version.version: version.run_id for version in workspace.registry.versions("digits")}
    old = {row: runs[number] for row, number in first["versions"].items()}
    was = {row: client.get_run(run).data.metrics for row, run in old.items()}
    last = [each for each in Journal(workspace).all() if each.id != first["request"]][-1]
    second = audit_flow(request=last.id, home=str(workspace.root))
    assert {row: client.get_run(run).data.metrics for row, run in old.items()} == was
    assert not set(second["versions"].values()) & set(first["versions"].values())
    champion = workspace.registry.get_alias("digits", "champion")
    assert champion.version == second["champion"]  # proved or not, an audited model is in service now
