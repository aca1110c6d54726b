"""A method that learns from the hold-out without a twin: guarded by what class counts tell, in plan and step alike."""

from pathlib import Path

import pytest

from tests.integration.conftest import make_workspace
from tmu.errors import GateError
from tmu.refs import DataRef, ForgetRef, ModelRef
from tmu.steps.choose_method import choose_method
from tmu.steps.loading import data_ref, open_store, run_record
from tmu.steps.plan_deletion import Plan, acknowledge, plan_deletion
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


def asked(workspace: Workspace, data: DataRef, *, train: int, holdout: int | None) -> tuple[Plan, ForgetRef]:
    """A request for training and hold-out records of class 0 (None: all of them)."""
    store, records = open_store(workspace, data), []
    for split, most in (("train", train), ("holdout", holdout)):
        part = store.load(split)
        records += [key for key, label in zip(part.keys, part.labels, strict=True) if label == 0][:most]
    plan = plan_deletion(workspace, data, [], records)
    return plan, acknowledge(workspace, plan)


def test_a_class_without_hold_out_records_is_refused(trained: tuple[Workspace, DataRef, ModelRef]) -> None:
    workspace, data, original = trained
    plan, forget = asked(workspace, data, train=3, holdout=None)
    assert "class `0` has no hold-out record" in choose_method(workspace, plan).risk["refusal"]
    assert choose_method(workspace, plan, "finetune").risk["refusal"] is None
    with pytest.raises(GateError, match="not distributed like the hold-out: Class `0` has no hold-out") as refusal:
        unlearn_model(workspace, data, forget, original, None, workspace.params)
    assert "--method retrain" in refusal.value.mend


def test_a_small_request_goes_through_and_the_report_is_kept(trained: tuple[Workspace, DataRef, ModelRef]) -> None:
    workspace, data, original = trained
    plan, forget = asked(workspace, data, train=3, holdout=1)
    assert choose_method(workspace, plan).risk["refusal"] is None
    shift = run_record(workspace, unlearn_model(workspace, data, forget, original, None, workspace.params))["notes"][
        "shift"
    ]
    assert shift["verdict"] in ("alike", "covered")
    assert shift["reason"].endswith("features were not compared, for want of a twin.")
    assert 0 < shift["classes"]["removed"] < 0.5
