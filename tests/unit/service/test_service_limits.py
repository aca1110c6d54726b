"""Limits bite: rate by token, failures by address, size and duration of bodies, one heavy call at a time."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from tests.service_tools import Api
from tmu.service.limits import Buckets, Limits, OneAtATime, address_of, with_body
from tmu.service.problems import Refusal
from tmu.service.roles import Role


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    clock = Clock()
    buckets = Buckets(2.0, 3, clock=clock)
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.take("b") == 0  # each its own
    clock.at = 0.4
    assert buckets.take("a") == pytest.approx(0.1)  # to ask too early costs nothing
    clock.at = 0.5
    assert (buckets.take("a"), buckets.take("a")) == (0, 0.5)
    clock.at = 1000.0
    assert [bool(buckets.take("a")) for _ in range(4)] == [False, False, False, True]


@given(st.lists(st.floats(0, 3), max_size=60))
def test_no_more_is_granted_than_burst_and_rate_allow(pauses: list[float]) -> None:
    clock, granted = Clock(), 0
    buckets = Buckets(1.5, 4, clock=clock)
    for pause in pauses:
        clock.at += pause
        granted += buckets.take("a") == 0
        assert granted <= 4 + 1.5 * clock.at + 1e-6


def test_the_table_of_addresses_stays_small() -> None:
    """The one used longest ago is forgotten, and begins anew."""
    buckets = Buckets(1.0, 1, most=10, clock=Clock())
    assert [buckets.take(str(number)) for number in range(11)] == [0] * 11
    assert all(buckets.take(str(number)) == 1 for number in range(1, 11))
    assert buckets.take("0") == 0


def test_a_token_that_calls_too_often_is_told_when_to_come_again(home: Path) -> None:
    api = Api(home, Limits(per_second=0.1, burst=3, failures=1000))
    answers = [api.call(Role.AUDITOR, "GET", "/board") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert 8 <= int(answers[-1].headers["retry-after"]) <= 10
    api.good(Role.OPERATOR, "GET", "/board")  # others are not touched
    assert [api.call(None, "GET", "/ready").status_code for _ in range(4)] == [200, 200, 200, 429]
    api.close()


def test_failed_authentication_is_limited_by_address_but_locks_no_token_out(home: Path) -> None:
    api = Api(home, Limits(failures=3))
    answers = [api.call("tmu_guess", "GET", "/board") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 20
    api.good(Role.AUDITOR, "GET", "/board")
    api.close()


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("somewhere", "somewhere"),
        (None, "unknown"),
    ],
)
def test_an_address_is_one_caller(host: str | None, key: str) -> None:
    client = SimpleNamespace(host=host) if host else None
    assert address_of(SimpleNamespace(client=client)) == key


def test_a_large_body_is_refused_with_and_without_its_length(home: Path) -> None:
    api = Api(home, Limits(bytes_body=1000))
    kind = {"content-type": "application/json"}
    body = b'{"id": "case-1", "subjects": ["ann"]' + b" " * 2000 + b"}"

    def pieces(content: bytes) -> Iterator[bytes]:
        yield from (content[start : start + 100] for start in range(0, len(content), 100))

    for content in (body, pieces(body)):
        said = api.bad(Role.REQUESTER, "POST", "/requests", content=content, headers=dict(kind), status=413)
        assert "1,000 bytes" in said
    fits = body.replace(b" ", b"")
    api.good(Role.REQUESTER, "POST", "/requests", content=fits, headers=dict(kind))
    api.good(Role.REQUESTER, "POST", "/requests", content=pieces(fits), headers=dict(kind))
    api.bad(None, "POST", "/requests", content=body, headers=dict(kind), status=401)  # not even read
    api.close()


def request_that_sends(*messages: Any, headers: Any = ()) -> tuple[Request, list[Any]]:
    """A request whose body arrives as messages; a number: so many seconds of silence. And what is left unread."""
    left = list(messages)

    async def receive() -> Any:
        if isinstance(left[0], float):
            await asyncio.sleep(left.pop(0))
        return {"type": "http.request", **left.pop(0)}

    return Request({"type": "http", "headers": list(headers)}, receive), left


def test_without_a_length_no_more_is_read_than_the_limit() -> None:
    piece = {"body": b"x" * 400, "more_body": True}
    request, left = request_that_sends(*[piece] * 100)
    with pytest.raises(Refusal) as caught:
        asyncio.run(with_body(request, Limits(bytes_body=1000)))
    assert (caught.value.status_code, caught.value.headers, len(left)) == (413, {"Connection": "close"}, 97)


def test_a_declared_length_is_refused_before_a_byte_is_read() -> None:
    request, left = request_that_sends({"body": b""}, headers=[(b"content-length", b"1001")])
    with pytest.raises(Refusal):
        asyncio.run(with_body(request, Limits(bytes_body=1000)))
    assert len(left) == 1


def test_a_body_that_comes_too_slowly_is_refused() -> None:
    drops = [part for _ in range(100) for part in (0.02, {"body": b"x", "more_body": True})]
    request, left = request_that_sends(*drops)
    with pytest.raises(Refusal) as caught:
        asyncio.run(with_body(request, Limits(seconds_body=0.05)))
    assert caught.value.status_code == 408
    assert left


def test_one_heavy_call_at_a_time(api: Api) -> None:
    with api.app.state.service.heavy.turn():
        object.__setattr__(api.app.state.service.heavy, "_seconds", 0.01)
        answer = api.call(Role.AUDITOR, "GET", "/log/verification")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    api.good(Role.AUDITOR, "GET", "/log/verification")
    turns = OneAtATime(0.01)
    with pytest.raises(ZeroDivisionError), turns.turn():
        raise ZeroDivisionError
    with turns.turn():  # it was given back
        pass
