"""What no description describes: junk in any place of a call. No 5xx, and no success without a role.

Calls that follow the description, or break it in one place, are drawn by `test_service_description.py`.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service_tools import Api, described_home
from tmu.service.roles import ANYBODY, MARK, Role

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=8), part, max_size=3),
    max_leaves=8,
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE")
PARTS = st.sampled_from(["case-1", "case-9", "0" * 32, "%00", "%FF", "a%2Fb", "..", "x" * 300])
KINDS = st.sampled_from(
    ["application/json", "text/plain", "application/json; charset=utf-16", "multipart/form-data", "/"]
)
TOKENS = st.sampled_from([None, "tmu_wrong", *Role])


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    made = Api(described_home(tmp_path_factory.mktemp("home")))
    made.ask("case-1", "ann")
    yield made
    made.close()


@pytest.fixture(scope="module")
def document(api: Api) -> dict[str, Any]:
    return api.good(None, "GET", "/openapi.json")


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(method.upper(), path, each) for path, item in document["paths"].items() for method, each in item.items()]


@st.composite
def calls(draw: st.DrawFn, document: dict[str, Any]) -> dict[str, Any]:
    """A call of a documented path, mostly by its method; with any path, query, body, headers and token."""
    method, path, operation = draw(st.sampled_from(operations(document)))
    roles = set(operation[MARK])
    if draw(st.integers(0, 9)) == 0:
        method = draw(st.sampled_from(METHODS))
        roles = set(document["paths"][path].get(method.lower(), {}).get(MARK, ()))
    query = {}
    for part in operation.get("parameters", ()):
        if part["in"] == "path":
            path = path.replace("{" + part["name"] + "}", draw(PARTS))
        elif draw(st.booleans()):
            query[part["name"]] = str(draw(JUNK))
    content = draw(st.builds(lambda body: json.dumps(body).encode(), JUNK) | st.binary(max_size=30))
    name = st.text("abcdefgh-", min_size=1, max_size=8)
    value = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
    headers = {f"x-{key}": text for key, text in draw(st.dictionaries(name, value, max_size=2)).items()}
    headers["content-type"] = draw(st.just("application/json") | KINDS)
    return {"token": draw(TOKENS), "method": method, "path": path, "roles": roles, "more": (query, content, headers)}


def send(api: Api, call: dict[str, Any]) -> int:
    query, content, headers = call["more"]
    answer = api.call(call["token"], call["method"], call["path"], params=query, content=content, headers=dict(headers))
    assert answer.status_code < 500, (call, answer.text)
    if answer.status_code >= 400 and call["method"] != "HEAD":
        assert answer.json()["status"] == answer.status_code, call
    if answer.is_success:
        assert ANYBODY in call["roles"] or call["token"] in call["roles"], call
    return answer.status_code


@given(data=st.data())
@FEW
def test_no_5xx_and_no_success_without_a_role(api: Api, document: dict[str, Any], data: st.DataObject) -> None:
    send(api, data.draw(calls(document)))


def test_the_fuzzer_reaches_success_and_refusal(api: Api, document: dict[str, Any]) -> None:
    """A fuzzer that only ever sees 401 proves nothing."""
    seen: set[int] = set()

    @given(call=calls(document))
    @settings(max_examples=80, deadline=None, database=None, derandomize=True)
    def run(call: dict[str, Any]) -> None:
        seen.add(send(api, call))

    run()
    assert {200, 401, 403, 404, 422} <= seen


def test_the_fuzzer_notices_a_leak_and_a_fault(api: Api, document: dict[str, Any]) -> None:
    """Negative controls: a role taken from the expectation, and a route that fails."""
    leak = {"token": Role.AUDITOR, "method": "GET", "path": "/board", "roles": {"operator"}, "more": ({}, b"", {})}
    with pytest.raises(AssertionError):
        send(api, leak)
    board = next(route for route in api.app.routes if route.path == "/board")
    api.app.add_api_route("/fault", lambda: 1 / 0, openapi_extra=board.openapi_extra)
    with pytest.raises(AssertionError):
        send(api, leak | {"path": "/fault", "roles": {"auditor"}})


def test_the_description_tells_roles_security_and_problems(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names)) >= 17
    for method, path, operation in operations(document):
        public = operation[MARK] == [ANYBODY]
        assert operation["security"] == ([] if public else [{"token": []}]), (method, path)
        assert operation["description"] and operation["summary"]
        if not public:
            assert {"401", "403", "409", "413", "422", "429", "503"} <= set(operation["responses"])
            assert "application/problem+json" in operation["responses"]["422"]["content"]
