"""The service against its own OpenAPI description: whatever is sent, no 5xx, and no success without a role."""

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


def of_schema(schema: dict[str, Any], document: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that fit a schema, nearly: lengths and patterns only now and then, so that both sides are reached."""
    if "$ref" in schema:
        return of_schema(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    if "anyOf" in schema:
        return st.one_of([of_schema(part, document) for part in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    kind = schema.get("type")
    if kind == "object":
        needed = set(schema.get("required", ()))
        fields = {name: of_schema(part, document) for name, part in schema.get("properties", {}).items()}
        return st.fixed_dictionaries(
            {name: part for name, part in fields.items() if name in needed},
            optional={name: part for name, part in fields.items() if name not in needed},
        )
    if kind == "array":
        return st.lists(of_schema(schema["items"], document), max_size=3)
    if kind == "string":
        fitting = st.from_regex(schema["pattern"], fullmatch=True) if "pattern" in schema else st.text(max_size=30)
        return st.sampled_from(["case-1", "ann", "0" * 64]) | fitting | st.text(max_size=5)
    return {"boolean": st.booleans(), "integer": st.integers(), "number": st.floats()}.get(kind, st.none())


@st.composite
def calls(draw: st.DrawFn, document: dict[str, Any]) -> dict[str, Any]:
    """A call: mostly of a documented operation, with a body that nearly fits, or junk; with any token or none."""
    method, path, operation = draw(st.sampled_from(operations(document)))
    roles = set(operation[MARK])
    if draw(st.integers(0, 9)) == 0:
        method = draw(st.sampled_from(METHODS))
        roles = set(document["paths"][path].get(method.lower(), {}).get(MARK, ()))
    query = {}
    for part in operation.get("parameters", ()):
        value = draw(of_schema(part["schema"], document) | JUNK)
        if part["in"] == "path":
            value = draw(st.sampled_from(["case-1", "case-9", "0" * 32, "%00", "%FF", "a%2Fb", "..", "x" * 300]))
            path = path.replace("{" + part["name"] + "}", value)
        elif draw(st.booleans()):
            query[part["name"]] = value if isinstance(value, list) else str(value)
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    fitting = of_schema(schema, document) if schema else JUNK
    body = draw(fitting | JUNK)
    content = draw(st.just(json.dumps(body).encode()) | st.binary(max_size=30))
    kinds = ["application/json", "text/plain", "application/json; charset=utf-16", "multipart/form-data", "/"]
    headers = {"content-type": draw(st.sampled_from(kinds) if draw(st.booleans()) else st.just(kinds[0]))}
    name = st.text("abcdefgh-", min_size=1, max_size=8)
    value = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
    headers |= {f"x-{key}": text for key, text in draw(st.dictionaries(name, value, max_size=2)).items()}
    token = draw(st.sampled_from([None, "tmu_wrong", *Role]))
    return {"token": token, "method": method, "path": path, "roles": roles, "more": (query, content, headers)}


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
