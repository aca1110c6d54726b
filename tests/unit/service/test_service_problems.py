"""Errors become problem documents; faults of ours are logged without the values in their messages."""

import logging
from pathlib import Path

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tests.service_tools import Api
from tmu.errors import ConfigError, DataError, RequestError, StorageError
from tmu.ledger import views
from tmu.ledger.errors import ChainError, ConflictError, ForbiddenError, UnknownError
from tmu.service.problems import said
from tmu.service.roles import Role

KEY = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (ConflictError, 409), (UnknownError, 404), (ForbiddenError, 403), (RequestError, 422), (StorageError, 503),
        (ChainError, 409), (ConfigError, 500), (DataError, 500),
    ],
)  # fmt: skip
def test_each_error_has_its_status_and_no_key(kind: type, status: int) -> None:
    found = said(kind(f"There is no subject {KEY} in ann's.", f"Look at {KEY.upper()}."))
    assert found[0] == status
    assert KEY not in str(found).casefold()
    assert ("ann's" in str(found)) == (status in (403, 409, 422))  # the ledger's own sentences; else ours


@pytest.mark.parametrize("error", [StorageError("db at /secret/path is locked", ""), PoolTimeout()])
def test_a_ledger_that_does_not_answer_is_503_with_retry_after(
    api: Api, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(views, "board", broken)
    answer = api.call(Role.AUDITOR, "GET", "/board")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "secret" not in answer.text


def test_a_database_that_is_gone_is_503_and_not_ready(api: Api, home: Path) -> None:
    assert api.good(None, "GET", "/ready") == api.good(None, "GET", "/health") == {"status": "ok"}
    api.ledger.close()
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (home / ".tmu" / name).unlink(missing_ok=True)
    (home / ".tmu" / "ledger.db").mkdir()
    said_ = api.bad(None, "GET", "/ready", status=503)
    assert str(home) not in said_
    assert api.good(None, "GET", "/health") == {"status": "ok"}
    api.bad(Role.REQUESTER, "POST", "/requests", {"id": "case-1", "subjects": ["ann"]}, status=503)


def test_a_fault_is_500_and_its_message_stays_inside(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def faulty(*_: object) -> None:
        try:
            raise KeyError("maria")
        except KeyError as error:
            raise ValueError("no such person: maria") from error

    monkeypatch.setattr(views, "board", faulty)
    assert "internal error of the service" in api.bad(Role.AUDITOR, "GET", "/board", status=500)
    logged = "\n".join(record.getMessage() + str(record.exc_info) for record in caplog.records)
    assert "ValueError at " in logged
    assert "after KeyError" in logged
    assert "test_service_problems.py" in logged
    assert "maria" not in logged


def test_a_line_a_call_with_the_route_and_the_name_but_no_path(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tmu.service")
    api.call(Role.AUDITOR, "GET", "/requests/case-77?x=case-77")
    api.call("tmu_guess", "GET", "/requests/case-77")
    api.call(None, "GET", "/case-77")
    lines = [" ".join(record.getMessage().split()[:3]) for record in caplog.records]
    assert lines == ["GET /requests/{request} 404", "GET /requests/{request} 401", "GET (no route)"]
    assert caplog.records[0].getMessage().endswith(" auditor")
    assert "case-77" not in caplog.text


def test_answers_are_not_cached_or_guessed_at(api: Api) -> None:
    for token, path in ((Role.AUDITOR, "/board"), (None, "/board"), (None, "/nothing"), (None, "/health")):
        headers = api.call(token, "GET", path).headers
        assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_unknown_addresses_and_methods(api: Api) -> None:
    api.bad(Role.AUDITOR, "GET", "/board/", status=404)  # no redirect that repeats the address
    assert api.call(Role.AUDITOR, "DELETE", "/requests/case-1").headers["allow"] == "GET"
    api.bad(Role.AUDITOR, "DELETE", "/requests/case-1", status=405)
    for path in ("/docs", "/redoc"):
        api.bad(Role.AUDITOR, "GET", path, status=404)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"null", b"7", b'"x"', b"\xff\xfe", b"{", b"[" * 100_000, b'{"id":' * 20_000, b"1" * 6000,
        b'{"id": "c", "subjects": ["\\ud800"]}', b'{"id": "c", "subjects": [NaN]}', b'{"id": "c", "subjects": {}}',
        b'{"id": "c\\u0000", "subjects": ["a"]}', b'{"id": "c\\n", "subjects": ["a"]}',
        b'{"id": "c", "subjects": [""]}',
    ],
)  # fmt: skip
def test_bodies_that_are_none(api: Api, content: bytes) -> None:
    for kind in ("application/json", "text/plain", "multipart/form-data"):
        answer = api.call(Role.REQUESTER, "POST", "/requests", content=content, headers={"content-type": kind})
        assert answer.status_code in (400, 422), (kind, answer.text)
    assert api.good(Role.AUDITOR, "GET", "/requests")["requests"] == []


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ('{"id": "case-1", "subjects": ["ann"], "subjects": ["bea"]}', "`subjects`"),
        ('{"id": "case-1", "id": "case-2", "subjects": ["ann"]}', "`id`"),
        ('{"id": "case-1", "subjects": ["ann"], "maria": 1, "maria": 2}', "a name that is not known"),
    ],
)
def test_a_key_that_comes_twice_is_refused_by_name_and_nothing_is_stored(api: Api, body: str, named: str) -> None:
    headers = {"Content-Type": "application/json"}
    said_ = api.bad(Role.REQUESTER, "POST", "/requests", status=400, content=body, headers=headers)
    assert named in said_
    assert "maria" not in said_
    assert "ann" not in said_
    assert api.good(Role.AUDITOR, "GET", "/requests")["requests"] == []


def test_a_key_that_comes_twice_deep_inside_is_refused(api: Api) -> None:
    body = '{"requests": [{"id": "case-1", "subjects": ["ann"], "urgent": true, "urgent": false}]}'
    headers = {"Content-Type": "application/json"}
    assert "`urgent`" in api.bad(Role.OPERATOR, "POST", "/requests:batch", status=400, content=body, headers=headers)
