"""The service against its own OpenAPI description, by schemathesis: no 5xx, no success without a role, answers as said.

For every operation, calls that fit the description and calls that break it, with a token of any role or none.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.responses import JSONResponse

from tests.service_tools import Api, described_home
from tmu.service import app as assembled
from tmu.service.roles import ANYBODY, Role, Route

schemathesis = pytest.importorskip("schemathesis")
from schemathesis.specs.openapi import checks  # noqa: E402

EXAMPLES = settings(
    max_examples=14, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
ALL = [route for subject in assembled.SUBJECTS for route in subject.ROUTES if route.path != "/openapi.json"]
TAKING = [route for route in ALL if route.method == "POST" or "{" in route.path]
REACHED = {"/requests", "/requests/{request}", "/holds", "/board", "/log/verification", "/health"}
"""Where calls drawn at random come to a success."""
# what a description cannot say is refused, too: that a request names somebody, and that its id holds no id of a person
NOT_ASKED = [checks.positive_data_acceptance]
# to be in reach, ids must be those of requests that are there, and a request must name somebody
IDS = st.sampled_from(["case-1", "case-2", "case-9"])

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    made = Api(described_home(tmp_path_factory.mktemp("home")))
    yield made
    made.close()


@pytest.fixture(scope="module")
def schema(api: Api) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", api.app)


def send(api: Api, route: Route, case: Any, token: str | None) -> int:
    """One call, checked; returns its status."""
    headers = {"Authorization": f"Bearer {api.tokens.get(token, token)}"} if token else {}
    answer = case.call(headers=headers)
    if 200 <= answer.status_code < 300:
        assert ANYBODY in route.roles or token in route.roles, (route.path, token)
    case.validate_response(answer, excluded_checks=NOT_ASKED)
    return answer.status_code


def broken(case: Any) -> bool:
    """Whether something other than the headers breaks the description: a token would fix a missing one."""
    parts = {place.name: part.mode for place, part in case.meta.components.items()}
    return any(mode is schemathesis.GenerationMode.NEGATIVE for name, mode in parts.items() if name != "HEADER")


def fuzz(api: Api, schema: Any, route: Route, mode: Any) -> set[int]:
    """Many calls of one operation; returns the statuses seen."""
    seen: set[int] = set()
    for id_ in ("case-1", "case-2"):
        api.call(Role.REQUESTER, "POST", "/requests", {"id": id_, "subjects": ["ann"]})

    @given(data=st.data())
    @EXAMPLES
    def run(data: st.DataObject) -> None:
        case = data.draw(schema[route.path][route.method].as_strategy(generation_mode=mode))
        fits = mode is schemathesis.GenerationMode.POSITIVE
        if fits and "request" in case.path_parameters and data.draw(st.booleans()):
            case.path_parameters["request"] = data.draw(IDS)
        if fits and (route.method, route.path) == ("POST", "/requests") and data.draw(st.booleans()):
            case.body = {"id": data.draw(IDS), "subjects": ["ann"]}
        may = [role for role in route.roles if role != ANYBODY]
        others = [None, "tmu_wrong", *(role for role in Role if role not in route.roles)]
        token = data.draw(st.sampled_from(may * (3 if fits else 12) + others) if may else st.none())
        if not fits and not broken(case):
            token = None
        seen.add(send(api, route, case, token))

    run()
    return seen


@pytest.mark.parametrize("route", ALL, ids=lambda route: f"{route.method}{route.path}")
def test_what_fits_the_description_is_answered_as_it_says(api: Api, schema: Any, route: Route) -> None:
    seen = fuzz(api, schema, route, schemathesis.GenerationMode.POSITIVE)
    assert any(status < 300 for status in seen) or route.path not in REACHED, seen


@pytest.mark.parametrize("route", TAKING, ids=lambda route: f"{route.method}{route.path}")
def test_what_breaks_the_description_is_refused_as_it_says(api: Api, schema: Any, route: Route) -> None:
    seen = fuzz(api, schema, route, schemathesis.GenerationMode.NEGATIVE)
    assert {400, 422} & seen, seen


def test_the_checks_notice_a_leak_a_fault_and_an_answer_that_was_not_announced(api: Api, schema: Any) -> None:
    """Negative controls: were these not noticed, the tests above would show nothing."""
    board = next(route for route in ALL if route.path == "/board")
    case = schema["/board"]["GET"].Case()
    with pytest.raises(AssertionError):
        send(api, Route("GET", "/board", board.endpoint, (Role.OPERATOR,)), case, Role.AUDITOR)
    endpoint = next(route for route in api.app.routes if route.path == "/board")
    with pytest.MonkeyPatch.context() as patch:
        for status in (500, 202, 200):  # a fault, a status that is not described, a body of another form
            patch.setattr(endpoint, "app", JSONResponse([], status))
            with pytest.raises(BaseExceptionGroup):
                send(api, board, case, Role.AUDITOR)
    assert send(api, board, case, Role.AUDITOR) == 200
