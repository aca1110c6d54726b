"""Where approximate unlearning does not hold, exact retraining takes over by itself."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.integration.conftest import QUICK, make_workspace
from tmu.deletion.journal import Journal
from tmu.steps.loading import data_ref
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow


def delete(workspace: Workspace, people: range, **options: object) -> dict:
    from flows.delete_local import delete_local_flow

    keys = workspace.keys(simulated=True)
    subjects = [keys.subject(f"contributor-{number:03d}") for number in people]
    return delete_local_flow(home=str(workspace.root), subjects=subjects, **options)


def test_a_twin_that_did_not_memorise_leads_to_retraining(prefect_server: dict, tmp_path: Path) -> None:
    never = {**QUICK["twin"], "max_rounds": 1, "confidence_tolerance": 1e-9}
    workspace = make_workspace(tmp_path / "w", twin=never, unlearn={"method": "tmu"})
    outcome = delete(workspace, range(3), audit=False)
    deletion = Journal(workspace).find(outcome["request"])
    assert (deletion.method, deletion.twin) == ("retrain", None)
    assert "took over from `tmu`" in deletion.refused
    candidate = workspace.registry.get_alias("digits", "candidate")
    assert candidate.tags["method"] == "retrain"


def test_a_model_that_fails_the_audit_is_not_put_into_service(prefect_server: dict, tmp_path: Path) -> None:
    harsh = {"method": "random-label", "options": {"lr": 0.1, "steps": 150}}
    workspace = make_workspace(tmp_path / "w", unlearn=harsh)
    outcome = delete(workspace, range(25))
    assert outcome["verdict"]["outcome"] == "failed"
    assert outcome["champion"] == outcome["versions"]["gold"] != outcome["versions"]["random-label"]
    assert workspace.registry.get_alias("digits", "champion").role == "gold"


def test_a_model_of_which_the_audit_proves_nothing_is_not_put_into_service(
    prefect_server: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import audit_flow

    real = audit_flow.log_audit

    def inconclusive(*arguments: object) -> dict:
        found = real(*arguments)
        return found | {"verdict": found["verdict"] | {"passed": True, "conclusive": False}}

    monkeypatch.setattr(audit_flow, "log_audit", inconclusive)
    workspace = make_workspace(tmp_path / "w", unlearn={"method": "finetune"})
    outcome = delete(workspace, range(1))
    assert outcome["champion"] == outcome["versions"]["gold"] != outcome["versions"]["finetune"]


def test_a_raw_id_is_refused_before_prefect_stores_it(prefect_server: dict, tmp_path: Path) -> None:
    from prefect.exceptions import ParameterTypeError

    from flows.delete_local import delete_local_flow

    workspace = make_workspace(tmp_path / "w")
    before = data_ref(workspace).digest
    with pytest.raises((ParameterTypeError, ValidationError)):
        delete_local_flow(home=str(workspace.root), subjects=["contributor-001"])
    assert data_ref(workspace).digest == before
