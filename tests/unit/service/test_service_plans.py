"""Plan and approval over HTTP, on real records: bound by hash, voided by a change, never by who asked."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli_tools import listing
from tests.ledger_tools import KEYS, state
from tests.service_tools import NO_HASTE, Api
from tests.unit.data.conftest import Made
from tmu.data.importer import import_records
from tmu.deletion.plan import Choice, Risk
from tmu.files import digest_of
from tmu.ledger.actor import Actor
from tmu.ledger.errors import ConflictError
from tmu.service.roles import Role
from tmu.steps.choose_method import Chooser
from tmu.steps.ledger.bind_plans import plan_request


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record store, made once."""
    folder = tmp_path_factory.mktemp("made")
    import_records(Made(), folder / "data", KEYS, n_buckets=8)
    return folder / "data"


@pytest.fixture
def planning(tmp_path: Path, data: Path) -> Iterator[Api]:
    (tmp_path / "params.yaml").write_text("{}")
    (tmp_path / "data").symlink_to(data)
    (tmp_path / ".tmu").mkdir()
    made = Api(tmp_path, NO_HASTE)
    yield made
    made.close()


def ask(api: Api, id_: str = "case-1", *people: str, **more: object) -> None:
    api.good(Role.REQUESTER, "POST", "/requests", {"id": id_, "subjects": list(people or ("person-3",)), **more})


def plan(api: Api, id_: str = "case-1", **body: str) -> dict:
    return api.good(Role.OPERATOR, "POST", f"/requests/{id_}/plan", body)


def approve(api: Api, plan_hash: str, by: str = Role.APPROVER, id_: str = "case-1") -> dict:
    return api.good(by, "POST", f"/requests/{id_}/approval", {"plan_hash": plan_hash})


def test_a_plan_is_bound_shown_and_approved(planning: Api) -> None:
    ask(planning)
    planning.bad(Role.APPROVER, "GET", "/requests/case-1/plan", status=409)
    bound = plan(planning)
    assert (bound["state"], bound["changed"], bound["voided"]) == ("awaiting_approval", True, 0)
    shown = planning.good(Role.APPROVER, "GET", "/requests/case-1/plan")
    assert shown["plan_hash"] == bound["hash"] == digest_of(shown["plan"])  # what is shown is what was hashed
    told = shown["plan"]
    assert (told["n_records"], told["n_subjects_named"], sum(told["by_split"].values())) == (6, 1, 6)
    assert told["shards"]
    assert told["choice"]["method"]
    assert told["choice"]["forecast"]["retrain"]["visits"] > 0
    assert KEYS.subject("person-3") not in str(shown)
    assert "person-3" not in str(shown)
    assert approve(planning, bound["hash"])["state"] == "approved"
    assert approve(planning, bound["hash"])["state"] == "approved"  # once more is once
    assert planning.good(Role.REQUESTER, "GET", "/requests/case-1")["approvals"][0]["approver"] == "approver"


def test_planning_writes_nothing_but_the_binding(planning: Api) -> None:
    ask(planning)

    def files() -> dict[str, str]:
        """All but the ledger, and the digests of files that were too young to be noted before (`Memo`)."""
        passed_by = ("ledger.db", "md5s.json")
        found = listing(planning.home).items()
        return {name: digest for name, digest in found if not any(each in name for each in passed_by)}

    before = files()
    plan(planning)
    assert files() == before


def test_a_changed_plan_voids_the_approval(planning: Api) -> None:
    ask(planning)
    old = plan(planning)["hash"]
    approve(planning, old)
    again = plan(planning)
    assert (again["hash"], again["changed"], again["voided"], again["state"]) == (old, False, 0, "approved")
    other = plan(planning, method="finetune")
    assert (other["changed"], other["voided"], other["state"]) == (True, 1, "awaiting_approval")
    assert "plan has changed" in planning.bad(
        Role.APPROVER, "POST", "/requests/case-1/approval", {"plan_hash": old}, status=409
    )
    (approval,) = planning.good(Role.AUDITOR, "GET", "/requests/case-1")["approvals"]
    assert approval["voided_at"] is not None
    approve(planning, other["hash"])


def changing(monkeypatch: pytest.MonkeyPatch, change: Callable[[Choice], Choice]) -> None:
    real = Chooser.choose
    monkeypatch.setattr(Chooser, "choose", lambda self, plan: change(real(self, plan)))


def test_what_moves_while_nothing_is_decided_anew_voids_nothing(planning: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(planning)
    old = plan(planning)["hash"]
    approve(planning, old)
    audited = {"audits": 1, "classes": None}  # an audit of the same method has passed meanwhile

    def measured(choice: Choice) -> Choice:
        forecast = {name: replace(cost, seconds=12.5) for name, cost in choice.forecast.items()}
        risk = choice.risk.model_copy(update=audited)
        return choice.model_copy(update={"asked": "auto", "reason": "other words", "forecast": forecast, "risk": risk})

    changing(monkeypatch, measured)
    again = plan(planning)
    assert (again["hash"], again["changed"], again["voided"]) == (old, False, 0)
    assert state(planning.ledger, "case-1") == "approved"


@pytest.mark.parametrize("change", [{"risk": Risk(level="high")}, {"method": "retrain"}], ids=["risk", "method"])
def test_another_risk_or_method_voids_the_approval(
    planning: Api, monkeypatch: pytest.MonkeyPatch, change: dict
) -> None:
    ask(planning)
    approve(planning, plan(planning)["hash"])
    changing(monkeypatch, lambda choice: choice.model_copy(update=change))
    assert plan(planning)["voided"] == 1
    assert state(planning.ledger, "case-1") == "awaiting_approval"


def test_who_asked_may_not_approve_whatever_its_roles(planning: Api) -> None:
    both = planning.token("requester", Role.REQUESTER, Role.APPROVER)  # another token, the same name
    ask(planning)
    bound = plan(planning)
    body = {"plan_hash": bound["hash"]}
    assert "The requester cannot approve" in planning.bad(both, "POST", "/requests/case-1/approval", body, status=403)
    assert state(planning.ledger, "case-1") == "awaiting_approval"
    events = [entry["event"] for entry in planning.good(Role.AUDITOR, "GET", "/requests/case-1")["log"]]
    assert events[-1] == "approval_refused"  # on record
    approve(planning, bound["hash"])


def test_a_plan_in_a_wrong_form_is_not_approved(planning: Api) -> None:
    ask(planning)
    bound = plan(planning)
    for body in ({}, {"plan_hash": bound["hash"][:-1]}, {"plan_hash": bound["hash"].upper()}, {"plan_hash": None}):
        planning.bad(Role.APPROVER, "POST", "/requests/case-1/approval", body, status=422)
    planning.bad(Role.APPROVER, "POST", "/requests/case-1/approval", {"plan_hash": "0" * 64}, status=409)
    assert state(planning.ledger, "case-1") == "awaiting_approval"


def test_what_cannot_be_honoured_is_422_without_a_key(planning: Api) -> None:
    ask(planning, "case-1", "nobody-here")
    said = planning.bad(Role.OPERATOR, "POST", "/requests/case-1/plan", {}, status=422)
    assert "There is no subject" in said
    assert KEYS.subject("nobody-here") not in said
    ask(planning, "case-2", *(f"person-{number}" for number in range(15)))
    assert "more than half" in planning.bad(Role.OPERATOR, "POST", "/requests/case-2/plan", {}, status=422)
    ask(planning, "case-3", identity_verified=False)
    planning.bad(Role.OPERATOR, "POST", "/requests/case-3/plan", {}, status=409)
    said = planning.bad(Role.OPERATOR, "POST", "/requests/case-3/plan", {"method": "magic"}, status=422)
    assert "magic" not in said
    assert "finetune" in said


def test_a_record_of_a_person_on_hold_leaves_the_request_held(planning: Api) -> None:
    hold = {"scope": "subject", "subject": "person-4", "reason": "file 12"}
    planning.good(Role.OPERATOR, "POST", "/holds", hold)
    body = {"id": "case-1", "records": ["r4"]}  # the person behind it is known to the plan alone
    assert planning.good(Role.REQUESTER, "POST", "/requests", body)["state"] == "queued"
    assert plan(planning)["state"] == "held"


def test_a_plan_against_another_dataset_is_refused(planning: Api) -> None:
    from tests.ledger_tools import put

    put(planning.ledger, "case-1", dataset="faces")
    with pytest.raises(ConflictError, match="another dataset"):
        plan_request(planning.workspace, planning.ledger, "case-1", Actor("operator", "token"))


def test_all_that_are_queued_are_planned_in_one_call(planning: Api) -> None:
    for number in range(4):
        ask(planning, f"case-{number}", f"person-{number}" if number < 3 else "nobody-here")
    one = plan(planning, "case-0")["hash"]
    answers = planning.good(Role.OPERATOR, "POST", "/plans", {})
    assert [(each["request"], each["status"]) for each in answers] == [
        ("case-1", 200),
        ("case-2", 200),
        ("case-3", 422),
    ]
    assert [each.get("state") for each in answers] == ["awaiting_approval"] * 2 + [None]
    assert "There is no subject" in answers[2]["what"]
    assert KEYS.subject("nobody-here") not in str(answers)
    body = {"requests": ["case-0", "case-1", "case-9"], "method": "finetune"}
    again = planning.good(Role.OPERATOR, "POST", "/plans", body)
    assert [(each["status"], each.get("changed")) for each in again] == [(200, True), (200, True), (404, None)]
    assert again[0]["hash"] != one
    assert plan(planning, "case-0", method="finetune")["hash"] == again[0]["hash"]
    for wrong in ({"requests": []}, {"requests": ["a b"]}, {"requests": "case-1"}, {"method": "magic"}):
        planning.bad(Role.OPERATOR, "POST", "/plans", wrong, status=422)
    assert planning.good(Role.OPERATOR, "POST", "/plans", {"requests": None}) == answers[2:]  # it is still queued
