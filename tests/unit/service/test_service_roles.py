"""Every route has roles, and lets through nobody else."""

from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route as PlainRoute

from tests.service_tools import Api
from tmu.data.ids import FIRST
from tmu.service import app as assembled
from tmu.service.roles import ANYBODY, Role, Route, roles_of, undeclared

HOLD = "0" * 32
BODIES: dict[str, Any] = {  # of a right form, so that nothing but the role decides
    "put": {"id": "case-2", "subjects": ["ann"]},
    "put_many": {"requests": [{"id": "case-2", "subjects": ["ann"]}]},
    "make": {},
    "make_many": {},
    "issue_code": {"plan_hash": "0" * 64},
    "approve": {"plan_hash": "0" * 64},
    "verify_identity": {},
    "place": {"scope": "all", "reason": "court file"},
} | {name: {"reason": "letter"} for name in ("deny", "cancel", "extend", "release")}
ALL = [route for subject in assembled.SUBJECTS for route in subject.ROUTES]


def test_every_route_of_the_application_declares_its_roles(api: Api) -> None:
    assert undeclared(api.app.routes) == []
    assert len(api.app.routes) == len(ALL) >= 17
    assert {route.path for route in api.app.routes if ANYBODY in roles_of(route)} == {
        "/health", "/ready", "/openapi.json",
    }  # fmt: skip


@pytest.mark.parametrize("route", ALL, ids=lambda route: f"{route.method}{route.path}")
def test_each_role_and_no_token_at_each_route(api: Api, route: Route) -> None:
    path = route.path.format(request="case-1", hold=HOLD)
    body = BODIES.get(route.endpoint.__name__)
    assert (body is None) == (route.method == "GET")
    refused = {}
    for token in (None, "tmu_wrong", *Role):
        status = api.call(token, route.method, path, body).status_code
        refused[token] = status if status in (401, 403) else None
    if ANYBODY in route.roles:
        assert set(refused.values()) == {None}
        return
    assert (refused.pop(None), refused.pop("tmu_wrong")) == (401, 401)
    assert refused == {role: None if role in route.roles else 403 for role in Role}


def test_a_route_without_roles_is_found_and_lets_nobody_through(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leak() -> str:
        return "secret"

    api = Api(home)
    for declared in (None, {"x-roles": []}, {"x-roles": ["everybody"]}):
        api.app.add_api_route("/leak", leak, openapi_extra=declared)
        assert undeclared(api.app.routes) == ["/leak"]
        for token in (None, *Role):
            answer = api.call(token, "GET", "/leak")
            assert answer.status_code in (401, 403)
            assert "secret" not in answer.text
        api.app.router.routes.pop()
    assert undeclared([PlainRoute("/plain", leak)]) == ["/plain"]
    api.close()

    class Subject:
        ROUTES = (Route("GET", "/leak", leak, ()),)

    monkeypatch.setattr(assembled, "SUBJECTS", (*assembled.SUBJECTS, Subject))
    with pytest.raises(RuntimeError, match="/leak"):
        Api(home)


def test_the_documents_table_is_the_codes() -> None:
    lines = (Path(__file__).parents[3] / "docs" / "api.md").read_text().splitlines()
    for route in ALL:
        if ANYBODY in route.roles:
            continue
        shown = route.path.replace("{request}", "{id}")
        (line,) = [line for line in lines if line.startswith(f"| `{route.method} {shown}` |")]
        marks = [cell.strip() for cell in line.strip("|").split("|")][2:]
        assert [bool(mark) for mark in marks] == [role in route.roles for role in Role], line


def test_a_token_of_two_roles_may_what_either_may(api: Api) -> None:
    both = api.token("both", Role.REQUESTER, Role.AUDITOR)
    api.ask("case-1", by=both)
    api.good(both, "GET", "/log/verification")
    api.bad(both, "GET", "/requests/case-1/plan", status=409)  # an auditor may look: there is none yet
    api.bad(both, "POST", "/requests/case-1/plan", {}, status=403)


def test_who_is_refused_learns_nothing_of_the_body_or_the_record(api: Api) -> None:
    """Token and role come first: a wrong body or an unknown id makes no difference to who may not call."""
    api.ask("case-1")
    for token, status in ((None, 401), (Role.REQUESTER, 403)):
        said = {
            api.bad(token, "POST", f"/requests/{id_}/approval", body, status=status)
            for id_ in ("case-1", "case-9", "%00")
            for body in ({"plan_hash": "0" * 64}, {}, [[]])
        }
        assert len(said) == 1


@pytest.mark.parametrize("other", [role for role in Role if role not in (Role.REQUESTER, Role.OPERATOR)])
@pytest.mark.parametrize("act", ["identity", "cancellation"])
def test_a_second_role_gives_no_right_where_it_opens_nothing(api: Api, other: Role, act: str) -> None:
    api.good(Role.REQUESTER, "POST", "/requests", {"id": "case-7", "subjects": ["ann"]})
    mixed = api.token("clerk", Role.REQUESTER, other)
    body = {"reason": "letter"} if act == "cancellation" else {}
    assert api.call(mixed, "POST", f"/requests/case-7/{act}", body).status_code == 404  # another's
    assert api.call(mixed, "GET", "/requests/case-7").status_code == 200  # which the other role may see


@pytest.mark.parametrize("id_", ["ann ", " ann", "ann\n"])
def test_an_id_with_a_blank_at_its_end_is_not_somebody_else(api: Api, id_: str) -> None:
    api.good(Role.OPERATOR, "POST", "/holds", {"scope": "subject", "subject": id_, "reason": "x"})
    api.good(Role.REQUESTER, "POST", "/requests", {"id": "case-1", "subjects": ["ann"]})
    assert api.good(Role.REQUESTER, "GET", "/requests/case-1")["state"] == "held"


def test_under_the_first_rule_of_ids_it_is_refused(api: Api) -> None:
    """That rule keeps the blank, so that the hold would be on nobody."""
    object.__setattr__(api.app.state.service, "keys", api.app.state.service.keys.under(FIRST))
    for id_ in ("ann ", " ann", "ann\n"):
        hold = {"scope": "subject", "subject": id_, "reason": "x"}
        assert "blank" in api.bad(Role.OPERATOR, "POST", "/holds", hold, status=422)
        request = {"id": "case-1", "subjects": [id_]}
        assert "blank" in api.bad(Role.REQUESTER, "POST", "/requests", request, status=422)
