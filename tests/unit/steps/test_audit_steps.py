"""The audit's steps: whose records the forgotten ones are, and probes that are made once a model."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.synthetic import SHAPE, blobs, tiny_net
from tests.unit.data.conftest import Made
from tmu import manifest
from tmu.audit.probes.head_refit import head_refit
from tmu.config import AuditConfig, ModelConfig, Params
from tmu.data.importer import import_records
from tmu.data.keys import Keys
from tmu.data.store import RecordStore
from tmu.models.bundle import Arch, save_bundle
from tmu.models.bundle_files import weights_digest
from tmu.refs import DataRef, ForgetRef, ModelRef
from tmu.settings import Settings
from tmu.steps import audit_sets, probe_model
from tmu.steps.audit_artifact import provenance_of
from tmu.stores.artifacts import LocalArtifacts

DATA = DataRef(uri="data", digest="0.dir")
FORGET = ForgetRef(uri="forget/1", digest="1", data_digest="0.dir")
PARTS = {"forget": blobs(20, seed=2), "retain": blobs(60, seed=1)}
PARAMS = Params(audit=AuditConfig(relearn_steps=3, probe_records=10, head_records=50))


def test_subjects_are_those_of_the_forget_sets_training_records_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Keys(b"a secret for tests only, 32 byte")
    import_records(Made(n=90, people=15), tmp_path / "data", keys, n_buckets=4)
    store = RecordStore.open(tmp_path / "data", keys)
    people = [keys.subject(f"person-{number}") for number in (3, 7, 11)]
    index = store.index()
    asked = frozenset(key for person in people for key in index.keys_at(index.find_subject(person)))
    monkeypatch.setattr(audit_sets, "open_store", lambda *_: store)
    monkeypatch.setattr(audit_sets, "forget_keys", lambda *_: asked)
    parts = audit_sets.audit_sets(None, DATA, FORGET)
    subjects = audit_sets.subjects_of(None, DATA, FORGET)
    assert len(subjects) == len(parts["forget"]) < len(asked)  # records of the other splits are left out
    assert set(subjects) <= set(people)
    by_key = {keys.record(f"r{number}"): keys.subject(f"person-{number % 15}") for number in range(90)}
    assert subjects == [by_key[key] for key in store.load("train", only=asked).keys]


def _workspace(folder: Path) -> SimpleNamespace:
    return SimpleNamespace(root=folder, settings=Settings(threads=1, device="cpu"), artifacts=LocalArtifacts(folder))


def _model(workspace: SimpleNamespace, seed: int) -> ModelRef:
    arch = Arch("small_resnet", SHAPE, ("a", "b", "c"), {"width": 4})
    with workspace.artifacts.create("model", f"m{seed}", {"seed": seed}) as folder:
        save_bundle(folder, tiny_net(seed), arch, {"seed": seed})
    folder = workspace.artifacts.find("model", f"m{seed}")
    return ModelRef(uri=f"model/m{seed}", digest=manifest.digest(folder), weights=weights_digest(folder), role="gold")


def test_a_model_is_probed_once_and_its_probes_are_those_of_the_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = _workspace(tmp_path)
    original, model = _model(workspace, 0), _model(workspace, 1)
    first = probe_model.probe_model(workspace, DATA, FORGET, original, model, PARTS, PARAMS)
    expected = head_refit(tiny_net(1), PARTS["forget"], PARTS["retain"], records=50, seed=0)
    assert np.allclose(first.head_logits, expected.numpy(), atol=1e-5)
    assert len(first.residual_hits) == 10 and first.relearned.steps <= 3

    def never(*_: object) -> None:
        raise AssertionError("probed again")

    monkeypatch.setattr(probe_model, "probe", never)
    again = probe_model.probe_model(workspace, DATA, FORGET, original, model, PARTS, PARAMS)
    assert np.array_equal(again.head_logits, first.head_logits)
    for other in (
        PARAMS.model_copy(update={"seed": 1}),
        PARAMS.model_copy(update={"audit": PARAMS.audit.model_copy(update={"head_records": 40})}),
    ):
        with pytest.raises(AssertionError, match="probed again"):
            probe_model.probe_model(workspace, DATA, FORGET, original, model, PARTS, other)
    gate_only = PARAMS.model_copy(update={"audit": PARAMS.audit.model_copy(update={"far_points": 9.0})})
    probe_model.probe_model(workspace, DATA, FORGET, original, model, PARTS, gate_only)


def test_the_kept_probes_hold_no_key_of_a_record(tmp_path: Path) -> None:
    workspace = _workspace(tmp_path)
    original = _model(workspace, 0)
    probe_model.probe_model(workspace, DATA, FORGET, original, original, PARTS, PARAMS)
    stored = b"".join(path.read_bytes() for path in (tmp_path / "probes").rglob("*") if path.is_file())
    keys = PARTS["forget"].keys
    assert len(stored) > 100
    assert not any(int(key).to_bytes(8, order, signed=True) in stored for key in keys for order in ("little", "big"))
    assert not any(str(int(key)).encode() in stored for key in keys)
    assert torch.unique(keys).numel() == len(keys)


@pytest.mark.parametrize("started", [True, False])
def test_an_audit_names_what_it_looked_at_and_the_start(started: bool) -> None:
    model = (
        ModelConfig(init="start.safetensors", init_sha256="a" * 64, init_source="birds") if started else ModelConfig()
    )
    ref = SimpleNamespace(digest="d", weights="w")
    case = SimpleNamespace(data=ref, forget=ref, params=SimpleNamespace(model=model))
    said = provenance_of(case, {"original": ref, "exact-head": ref}, proof="equality", statistics="d")
    assert list(said)[:3] == ["proof", "data revision", "forget set"]
    assert list(said)[-5:] == ["statistics", "lock file", "hardware", "weights of original", "weights of exact-head"]
    assert ("a" * 64 in said.get("start", "") and "birds" in said["start"]) == started
