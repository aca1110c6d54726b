"""Statements of the ledger and approval codes over HTTP; certificates: `tests/unit/steps/test_issue_certificate.py`."""

import json

import pytest

from tests.ledger_tools import FLOW, KEYS, approve_again, begun, complete, events, state
from tests.service_tools import Api
from tests.unit.ledger.test_ledger_statement import PLAN
from tmu import manifest
from tmu.files import canonical_json, write_json
from tmu.ledger import approval_codes, approvals, evidence, plans
from tmu.ledger.errors import ForbiddenError
from tmu.service.roles import Role

VERDICT = {"row": "tmu-soft", "passed": True, "conclusive": True, "reasons": ["within the floor"], "inner": 1}
RESULT = {
    "records": {"forget": 3},
    "rows": [
        {"name": "original", "metrics": {"gap": {"value": 4.0, "low": 3.0, "high": 5.0}, "x": None}},
        {"name": "gold", "metrics": {"gap": None}},
        {"name": "tmu-soft", "metrics": {"gap": {"value": 0.5, "low": 0.1, "high": 0.9}}},
    ],
}


def audit_of(api: Api) -> tuple[str, str]:
    """An audit in the workspace's artifacts: its address and digest."""
    with api.workspace.artifacts.create("audit", "abc", {"stage": "audit"}) as folder:
        write_json(folder / "audit.json", {"verdict": VERDICT, "result": RESULT})
    return "audit/abc", manifest.digest(api.workspace.artifacts.find("audit", "abc"))


def completed(api: Api, id_: str = "case-1") -> None:
    api.ask(id_)
    approve_again(api.ledger, id_, PLAN)
    execution = begun(api.ledger, "digits")
    evidence.attach_all(api.ledger, [id_], "audit", *audit_of(api), FLOW)
    complete(api.ledger, execution)


def test_a_statement_is_canonical_json_that_says_what_it_is_not(api: Api) -> None:
    completed(api)
    answer = api.call(Role.REQUESTER, "GET", "/requests/case-1/statement")
    said = answer.json()
    assert answer.content == canonical_json(said)
    assert (said["signed"], said["request"]["id"], said["plan"]["method"]) == (False, "case-1", "tmu-soft")
    assert "not signed" in said["limits"][0]
    assert said["missing"] == ["data_revision", "model", "serving"]
    (audit,) = said["evidence"]["audit"]
    verdict = {"row": "tmu-soft", "outcome": "passed", "reasons": ["within the floor"]}
    assert audit["numbers"]["verdict"] == verdict
    assert audit["numbers"]["metrics"] == {"original": {"gap": 4.0}, "tmu-soft": {"gap": 0.5}}
    assert said["ledger"]["head"] == api.good(Role.AUDITOR, "GET", "/log/verification")["head"]
    for role in (Role.AUDITOR, Role.OPERATOR, Role.APPROVER):
        assert api.call(role, "GET", "/requests/case-1/statement").content == answer.content
    assert KEYS.subject("case-1-person") not in answer.text


def test_numbers_of_an_audit_that_is_not_what_was_attached_are_not_told(api: Api) -> None:
    completed(api)
    folder = api.workspace.artifacts.find("audit", "abc")
    raw = json.loads((folder / "audit.json").read_text())
    raw["verdict"]["passed"] = False
    (folder / "audit.json").write_text(json.dumps(raw))
    (audit,) = api.good(Role.AUDITOR, "GET", "/requests/case-1/statement")["evidence"]["audit"]
    assert audit["numbers"] is None
    assert len(audit["digest"]) == 64


def test_there_is_no_statement_before_completion_or_of_others(api: Api) -> None:
    api.ask("case-1")
    path = "/requests/case-1/statement"
    assert "not completed" in api.bad(Role.REQUESTER, "GET", path, status=409)
    hidden = api.bad(api.token("other", Role.REQUESTER), "GET", path, status=404)
    assert hidden == api.bad(Role.AUDITOR, "GET", "/requests/case-9/statement", status=404)


def test_an_approval_code_is_for_the_form_of_one_plan(api: Api) -> None:
    api.ask("case-1")
    plans.bind_plan(api.ledger, "case-1", PLAN, subjects=[], actor=FLOW)
    digest = plans.ask_approval(api.ledger, "case-1", FLOW)
    path, body = "/requests/case-1/approval-code", {"plan_hash": digest}
    answer = api.good(Role.APPROVER, "POST", path, body)
    assert answer["code"].startswith("approver.")
    api.bad(Role.APPROVER, "POST", path, {"plan_hash": "0" * 64}, status=409)
    both = api.token("requester", Role.REQUESTER, Role.APPROVER)
    assert "The requester cannot approve" in api.bad(both, "POST", path, body, status=403)
    keys = api.app.state.service.keys
    with pytest.raises(ForbiddenError):
        approval_codes.redeem(keys, api.ledger, "case-1", answer["code"][:-1] + "g")
    actor, _ = approval_codes.redeem(keys, api.ledger, "case-1", answer["code"])
    approvals.approve(api.ledger, "case-1", digest, actor)
    assert state(api.ledger, "case-1") == "approved"
    assert events(api.ledger, "case-1")[-6:-1] == [
        "approval_code_issued", *["approval_code_refused"] * 3, "approval_code_redeemed",
    ]  # fmt: skip
    assert "does not wait" in api.bad(Role.APPROVER, "POST", path, body, status=409)
