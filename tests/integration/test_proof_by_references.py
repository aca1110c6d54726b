"""A whole deletion that the references' table proves: no model is retrained for it, and no row of the person stays."""

import numpy as np
import pytest

from flows import audit_flow, prove
from flows.carry_out import carry_out
from flows.observer import Observer
from tests.integration.conftest import make_workspace
from tmu.data.keys import key64
from tmu.data.store import RecordStore
from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.lineage.learners import artifacts
from tmu.refs import AuditRef, ReferencesRef
from tmu.steps import table_sets
from tmu.steps.acknowledge import acknowledge
from tmu.steps.loading import data_ref, forget_keys, run_record
from tmu.steps.plan import Planner
from tmu.steps.purge_scope import scope_of
from tmu.steps.read_references import find_references, read_info, read_rows
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow
SMALL = {
    "model": {"options": {"width": 4}},
    "references": {"pairs": 2, "inner": False},
    "audit": {"golds": False, "probes": False},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return make_workspace(tmp_path_factory.mktemp("proof") / "w", **SMALL)


def asked_for(workspace: Workspace, person: int, method: str, **audit: object) -> Deletion:
    asked = Asked.of([workspace.keys(simulated=True).subject(f"contributor-{person:03d}")], [])
    plan = Planner(workspace).plan(asked, method)
    deletion = acknowledge(workspace, plan, asked)
    if audit:
        config = deletion.params.audit.model_copy(update=audit)
        params = deletion.params.model_copy(update={"audit": config})
        deletion = Journal(workspace).advance(deletion, deletion.stage, params=params)
    return deletion


def served(workspace: Workspace, deletion: Deletion) -> tuple[Deletion, dict]:
    outcome = carry_out(workspace, Journal(workspace).find(deletion.id), Observer(workspace))
    return Journal(workspace).find(deletion.id), outcome


def killed_in(workspace: Workspace, deletion: Deletion, name: str) -> None:
    """A first attempt, cut short where the flow calls `name`."""
    with pytest.MonkeyPatch.context() as crash:
        crash.setattr(prove, name, _fail)
        with pytest.raises(RuntimeError):
            served(workspace, deletion)


def _fail(*_: object, **__: object) -> None:
    raise RuntimeError("stopped by the test")


def verdict_is(outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every audit of an approximate method ends so: its numbers come back from the store with this verdict."""
    real = audit_flow.log_audit

    def decided(*given: object) -> dict:
        numbers = real(*given)
        if numbers["verdict"]["row"] == "retrain":
            return numbers
        flags = {"passed": outcome != "failed", "conclusive": outcome != "inconclusive"}
        return numbers | {"verdict": numbers["verdict"] | flags | {"reasons": [f"{outcome}: so the test says."]}}

    monkeypatch.setattr(audit_flow, "log_audit", decided)


def test_a_method_is_proved_by_the_table_and_the_rows_go_with_the_records(place, monkeypatch):
    verdict_is("passed", monkeypatch)
    before = data_ref(place)
    deletion = asked_for(place, 3, "finetune")
    assert deletion.plan.choice.to_fit and deletion.plan.choice.forecast["references"].visits
    killed_in(place, deletion, "erase_references")
    killed_in(place, deletion, "drop_references")
    deletion, outcome = served(place, deletion)
    assert set(outcome["versions"]) == {"original", "finetune"}  # no gold
    assert outcome["champion"] == outcome["versions"]["finetune"]
    assert find_references(place, before, place.params) is None
    after = find_references(place, deletion.data, place.params)
    assert after == deletion.references_after and read_info(place, after)["deletions"] == 1
    gone = forget_keys(place, deletion.forget)
    assert gone and not gone.intersection(hex_keys(place, after))
    price = outcome["price"]
    assert price["request"] > 0 and price["audit"] > 0 and price["number"] == 1
    assert any("for its audit" in sentence for sentence in outcome["why"])


def hex_keys(workspace: Workspace, ref: ReferencesRef) -> set[str]:
    """Record keys of the rows of a table: those of the live data, and no others."""
    rows, index = set(read_rows(workspace, ref).keys.tolist()), RecordStore.open(workspace.data).index()
    kept = np.array([key in rows for key in key64(index.record_keys).tolist()])
    assert len(rows) == kept.sum() == len(index)
    return set(index.keys_at(np.flatnonzero(kept)))


def test_the_next_request_uses_the_same_table(place, monkeypatch):
    verdict_is("passed", monkeypatch)
    monkeypatch.setattr(prove, "references_of", _fail)
    deletion = asked_for(place, 4, "finetune")
    assert not deletion.plan.choice.to_fit and deletion.plan.choice.deletions == 1
    deletion, outcome = served(place, deletion)
    assert outcome["price"]["number"] == 2
    assert read_info(place, deletion.references_after)["deletions"] == 2
    scope, answers = scope_of(place, deletion), list(artifacts(place, "answers"))
    model_of = {held.uri: held.manifest["identity"]["model"] for held in answers}
    stay = {model for uri, model in model_of.items() if uri not in scope.artifacts}
    assert deletion.base.weights in model_of.values() and deletion.base.weights not in stay  # it knew the person
    assert stay == {deletion.unlearned.weights}  # the next audit goes on from these


def test_what_fails_gives_way_to_a_retrained_model_that_the_table_audits(place, monkeypatch):
    verdict_is("failed", monkeypatch)
    deletion = asked_for(place, 5, "finetune")
    with pytest.MonkeyPatch.context() as crash:
        crash.setattr(prove, "unlearn", _fail)
        with pytest.raises(RuntimeError):
            served(place, deletion)
    deletion, outcome = served(place, deletion)
    assert deletion.exact and "so the test says. Exact" not in deletion.refused
    assert "did not" not in deletion.refused and "Exact retraining took over" in deletion.refused
    assert deletion.failed_audit and deletion.failed_audit != deletion.outcome.audit
    assert set(outcome["versions"]) == {"original", "retrain"}
    assert outcome["service"].startswith("The retrained model goes into service")
    seconds = [run_record(place, ref)["seconds_total"] for ref in (deletion.failed_audit, deletion.outcome.audit)]
    assert outcome["price"]["audit"] == pytest.approx(sum(seconds))  # both are paid


def test_the_default_method_works_with_the_table_and_fits_its_twin_once(place, monkeypatch):
    verdict_is("passed", monkeypatch)
    first, outcome = served(place, asked_for(place, 12, "tmu-soft"))
    assert outcome["versions"].keys() == {"original", "tmu-soft"} and first.method == "tmu-soft"
    second = asked_for(place, 13, "tmu-soft")
    assert second.plan.choice.forecast["tmu-soft alone"].measured
    second, _ = served(place, second)
    assert second.twin == first.twin and second.base.weights == first.unlearned.weights


@pytest.mark.parametrize(("setting", "serves"), [("serve", "finetune"), ("retrain", "retrain")])
def test_a_setting_decides_what_follows_an_inconclusive_audit(place, monkeypatch, setting, serves):
    verdict_is("inconclusive", monkeypatch)
    deletion = asked_for(place, {"serve": 6, "retrain": 7}[setting], "finetune", inconclusive=setting)
    deletion, outcome = served(place, deletion)
    assert deletion.method == serves
    assert outcome["champion"] == outcome["versions"][serves]


def test_who_waits_serves_nothing_and_the_next_request_goes_on_from_there(place, monkeypatch):
    verdict_is("inconclusive", monkeypatch)
    before = place.registry.get_alias("digits", "champion")
    deletion, outcome = served(place, asked_for(place, 10, "finetune", inconclusive="wait"))
    assert deletion.outcome.waits and outcome["service"].startswith("Nothing goes into service before the next")
    assert "Until then the model stays in service that learned the records." in outcome["service"]
    assert place.registry.get_alias("digits", "champion") == before
    assert place.registry.get_alias("digits", "candidate").tags["serving"] == "waits"
    monkeypatch.undo()
    verdict_is("passed", monkeypatch)
    after, outcome = served(place, asked_for(place, 11, "finetune"))
    assert after.base.weights == deletion.unlearned.weights
    assert place.registry.get_alias("digits", "champion").version == outcome["champion"]


def test_exact_retraining_with_a_table_is_audited_by_it(place):
    deletion, outcome = served(place, asked_for(place, 9, "retrain"))
    assert set(outcome["versions"]) == {"original", "retrain"} and outcome["verdict"]
    assert AuditRef.model_validate(outcome["audit"]).digest == deletion.outcome.audit.digest


def test_where_too_few_records_stay_for_an_audit_the_model_is_retrained(place, monkeypatch):
    monkeypatch.setattr(table_sets, "LEAST_UNSEEN", 10**6)
    deletion, outcome = served(place, asked_for(place, 14, "finetune"))
    assert "an audit needs 1000000 records of test set and hold-out" in deletion.refused
    assert deletion.method == "retrain" and outcome["verdict"] is None
    assert "too few records that no model learned" in outcome["service"]
    assert find_references(place, deletion.data, place.params) is not None  # without the person's rows, for the next


def test_exact_retraining_without_a_table_fits_none(tmp_path, monkeypatch):
    monkeypatch.setattr(prove, "references_of", _fail)
    workspace = make_workspace(tmp_path / "w", **SMALL)
    deletion, outcome = served(workspace, asked_for(workspace, 3, "retrain"))
    assert "There are no references to audit it by" in outcome["service"] and outcome["verdict"] is None
    champion = workspace.registry.get_alias("digits", "champion")
    assert champion.weights_sha256 == deletion.unlearned.weights
