"""A method that learns from the hold-out without a twin: guarded by what class counts tell, in plan and step alike."""

from pathlib import Path

import pytest

from tests.integration.conftest import make_workspace
from tmu.deletion.plan import Asked
from tmu.errors import GateError
from tmu.refs import DataRef, ForgetRef, ModelRef
from tmu.steps.acknowledge import forget_set
from tmu.steps.cases import UnlearnCase
from tmu.steps.loading import data_ref, open_store, run_record
from tmu.steps.plan import plan_deletion
from tmu.steps.train_model import train_original
from tmu.steps.unlearn_model import unlearn_model
from tmu.workspace import Workspace

SMALL = {"model": {"options": {"width": 4}}, "train": {"epochs": 1}}
METHOD = {"method": "regun", "options": {"steps": 4}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, DataRef, ModelRef]:
    workspace = make_workspace(Path(tmp_path_factory.mktemp("guard")) / "w", **SMALL, unlearn=METHOD)
    data = data_ref(workspace)
    return workspace, data, train_original(workspace, data, workspace.params)


def asked(workspace: Workspace, data: DataRef, *, train: int, holdout: int | None) -> tuple[Asked, ForgetRef]:
    """A request for training and hold-out records of class 0 (None: all of them)."""
    store, records = open_store(workspace, data), []
    for split, most in (("train", train), ("holdout", holdout)):
        part = store.load(split)
        records += [key for key, label in zip(part.keys, part.labels, strict=True) if label == 0][:most]
    named = Asked.of([], records)
    return named, forget_set(workspace, plan_deletion(workspace, named))


def test_a_class_without_hold_out_records_is_refused(trained: tuple[Workspace, DataRef, ModelRef]) -> None:
    workspace, data, original = trained
    named, forget = asked(workspace, data, train=3, holdout=None)
    case = UnlearnCase(data=data, forget=forget, original=original, params=workspace.params)
    assert "class `0` has no hold-out record" in plan_deletion(workspace, named).choice.risk.refusal
    assert plan_deletion(workspace, named, "finetune").choice.risk.refusal is None
    with pytest.raises(GateError, match="not distributed like the hold-out: Class `0` has no hold-out") as refusal:
        unlearn_model(workspace, case)
    assert "--method retrain" in refusal.value.hint


def test_a_small_request_goes_through_and_the_report_is_kept(trained: tuple[Workspace, DataRef, ModelRef]) -> None:
    workspace, data, original = trained
    named, forget = asked(workspace, data, train=3, holdout=1)
    case = UnlearnCase(data=data, forget=forget, original=original, params=workspace.params)
    assert plan_deletion(workspace, named).choice.risk.refusal is None
    shift = run_record(workspace, unlearn_model(workspace, case))["notes"]["shift"]
    assert shift["verdict"] in ("alike", "covered")
    assert shift["reason"].endswith("features were not compared, because there is no twin.")
    assert 0 < shift["classes"]["removed"] < 0.5
