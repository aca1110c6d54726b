"""`method: auto` and the shift test in a whole deletion: what is chosen, that it stays chosen, and that it is said."""

import pytest

from tests.cli_tools import bad, good, tmu
from tests.integration.conftest import make_workspace
from tmu.deletion.journal import Journal
from tmu.errors import DataError, GateError
from tmu.refs import AuditRef
from tmu.steps.cases import UnlearnCase
from tmu.steps.fit_twin import fit_twin
from tmu.steps.loading import data_ref, open_store, run_record
from tmu.steps.unlearn_model import CONTROL, unlearn_model
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow
PERSON = "contributor-033"
SMALL = {
    "unlearn": {"method": "tmu"},
    "auto": {"method": "tmu"},
    "model": {"options": {"width": 8}},
    "audit": {"bootstrap": 100, "probes": False},
}


@pytest.fixture(scope="module")
def chosen(prefect_server: dict, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict, dict]:
    """A workspace after a deletion by `auto` that was interrupted once: (workspace, plan as shown before, outcome)."""
    import flows.delete_local as flow
    from flows import carry_out as stages

    workspace = make_workspace(tmp_path_factory.mktemp("auto") / "w", **SMALL)
    plan = good(workspace.root, "delete", "--subject", PERSON, "--method", "auto", "--dry-run")
    subjects = [workspace.keys(simulated=True).subject(PERSON)]
    with pytest.MonkeyPatch.context() as crash:
        crash.setattr(stages, "erase", _fail)
        with pytest.raises(RuntimeError):
            flow.delete_local_flow(home=str(workspace.root), subjects=subjects, method="auto")
    (deletion,) = Journal(workspace).all()
    assert (deletion.stage, deletion.method) == ("erasing", "retrain")
    with pytest.MonkeyPatch.context() as later:
        later.setattr(flow, "plan_deletion", _fail)  # what was decided is not decided again
        later.setattr(stages, "fit_twin", _fail)  # and no twin is fitted for nothing
        outcome = flow.delete_local_flow(home=str(workspace.root), subjects=subjects)
    return Workspace.open(workspace.root), plan, outcome


def _fail(*_: object, **__: object) -> None:
    raise RuntimeError("stopped by the test")


def test_where_retraining_is_cheaper_it_is_chosen_before_any_work(chosen: tuple[Workspace, dict, dict]) -> None:
    workspace, plan, outcome = chosen
    forecast = plan["choice"]["forecast"]
    assert plan["choice"]["method"] == "retrain"
    assert "Retraining is cheaper" in plan["choice"]["reason"]
    assert forecast["retrain"]["visits"] < forecast["tmu"]["visits"]
    assert not forecast["tmu"]["measured"]
    deletion = Journal(workspace).find(outcome["request"])
    assert deletion.plan.choice.model_dump(mode="json") == outcome["choice"] == plan["choice"]
    written = deletion.plan.model_copy(update={"id": plan["id"]})  # in the journal the id is random
    assert (deletion.method, written.hash) == ("retrain", plan["hash"])


def test_the_retrained_model_is_audited_like_any_other(chosen: tuple[Workspace, dict, dict]) -> None:
    workspace, _, outcome = chosen
    rows = run_record(workspace, AuditRef.model_validate(outcome["audit"]))["seconds_by_row"]["alone"]
    assert set(rows) == {"original", "gold", "second gold", "retrain"}
    page = workspace.artifacts.fetch(outcome["audit"]["uri"], outcome["audit"]["digest"]) / "report.html"
    assert "Retraining is cheaper" in page.read_text()
    candidate = workspace.registry.get_alias("digits", "candidate")
    assert candidate.tags["method"] == "retrain"
    # the audit's golds have other seeds: one of them in service would bar the next request
    assert outcome["champion"] == outcome["versions"]["retrain"] == candidate.version


def test_why_is_said_in_the_result_and_kept(chosen: tuple[Workspace, dict, dict]) -> None:
    workspace, plan, outcome = chosen
    shown = tmu(workspace.root, "show", "request", outcome["request"]).stdout
    assert outcome["why"][0] == plan["choice"]["reason"]
    service, price = outcome["why"][-3:-1]
    assert service == Journal(workspace).find(outcome["request"]).service
    assert "into service" in service and price.startswith("It took ")
    assert "Retraining is cheaper" in " ".join(shown.split())


def test_the_next_plan_is_forecast_from_what_was_measured(chosen: tuple[Workspace, dict, dict]) -> None:
    workspace, _, _ = chosen
    plan = good(workspace.root, "plan", "--subject", "contributor-050")
    assert plan["choice"]["reason"] == "`tmu` is configured."
    assert plan["choice"]["forecast"]["retrain"]["measured"]
    assert 0 < plan["choice"]["forecast"]["retrain"]["seconds"] < 60
    text = tmu(workspace.root, "plan", "--subject", "contributor-050", "--method", "auto").stdout
    assert "Method: `retrain`. Retraining is cheaper" in " ".join(text.split())
    assert "no method `wishful`" in bad(workspace.root, "plan", "--record", "digit-0001", "--method", "wishful", code=2)


def test_a_forget_set_unlike_the_hold_out_is_retrained(
    chosen: tuple[Workspace, dict, dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most of one class: known from counts, before a twin is fitted; the step refuses it, too, but for the control."""
    from flows.delete_local import delete_local_flow

    workspace, _, _ = chosen
    data, params = data_ref(workspace), workspace.params
    train = open_store(workspace, data).load("train")
    first = [key for key, label in zip(train.keys, train.labels, strict=True) if label == 0]
    outcome = delete_local_flow(home=str(workspace.root), records=first[: round(0.6 * len(first))], audit=False)
    deletion = Journal(workspace).find(outcome["request"])
    assert (deletion.plan.choice.method, deletion.method, deletion.twin) == ("tmu", "retrain", None)
    assert deletion.plan.choice.risk.level == "high"
    assert "of the training records of class `0`, more than 50 %. Exact retraining took over" in deletion.refused
    assert deletion.refused in outcome["why"]
    with pytest.raises(DataError, match="pictures that were erased"):  # of the revision from before
        fit_twin(workspace, data, deletion.base, params)
    monkeypatch.setattr("tmu.steps.fit_twin.refuse_suppressed", lambda *_: None)
    twin = fit_twin(workspace, data, deletion.base, params)
    case = UnlearnCase(data=data, forget=deletion.forget, original=deletion.base, twin=twin, params=params)
    with pytest.raises(GateError, match="not distributed like the hold-out"):
        unlearn_model(workspace, case)
    never_refused = case.model_copy(update={"params": params.model_copy(update={"unlearn": CONTROL})})
    control = unlearn_model(workspace, never_refused)
    assert run_record(workspace, control)["notes"]["shift"]["verdict"] == "refuse"
