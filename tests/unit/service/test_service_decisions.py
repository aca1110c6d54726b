"""Holds, denial, extension, identity, board and log over HTTP."""

import sqlite3
from pathlib import Path

import pytest

from tests.ledger_tools import KEYS, Travel
from tests.service_tools import Api
from tmu.service.roles import Role


def test_hold_and_release(api: Api) -> None:
    api.ask("case-1", "ann")
    api.ask("case-2", "bob")
    placed = api.good(Role.OPERATOR, "POST", "/holds", {"scope": "subject", "subject": "ann", "reason": "file 12"})
    assert (placed["scope"], placed["stopped"]) == ("subject", ["case-1"])
    (shown,) = api.good(Role.AUDITOR, "GET", "/holds")
    assert (shown["id"], shown["subject"], shown["reason"]) == (placed["hold"], KEYS.subject("ann"), "file 12")
    assert api.ask("case-3", "ann")["state"] == "held"
    path = f"/holds/{placed['hold']}/release"
    assert api.good(Role.OPERATOR, "POST", path, {"reason": "closed"})["released"] == ["case-1", "case-3"]
    api.bad(Role.OPERATOR, "POST", path, {"reason": "closed"}, status=409)
    api.bad(Role.OPERATOR, "POST", f"/holds/{'0' * 32}/release", {"reason": "closed"}, status=404)
    by_key = {"scope": "subject", "subject_key": KEYS.subject("bob"), "reason": "file 13"}
    assert api.good(Role.OPERATOR, "POST", "/holds", by_key)["stopped"] == ["case-2"]
    whole = api.good(Role.OPERATOR, "POST", "/holds", {"scope": "dataset", "reason": "incident"})
    assert whole["stopped"] == ["case-1", "case-3"]


@pytest.mark.parametrize(
    "body",
    [
        {"scope": "subject"}, {"scope": "all", "subject": "ann"}, {"scope": "dataset", "subject_key": "0" * 32},
        {"scope": "subject", "subject": "ann", "subject_key": "0" * 32}, {"scope": "ann"}, {},
    ],
)  # fmt: skip
def test_a_hold_without_a_clear_scope_is_refused(api: Api, body: dict) -> None:
    assert "ann" not in api.bad(Role.OPERATOR, "POST", "/holds", body | {"reason": "x"}, status=422)
    assert api.good(Role.AUDITOR, "GET", "/holds") == []


def test_deny_extend_and_verify_identity(api: Api) -> None:
    first = api.ask("case-1", identity_verified=False)
    assert (first["state"], first["paused"]) == ("unverified", True)
    path = "/requests/case-1"
    assert api.good(Role.OPERATOR, "POST", f"{path}/identity", {"reason": "code by post"})["state"] == "queued"
    assert api.good(Role.OPERATOR, "POST", f"{path}/extension", {"reason": "four models"})["due"] > first["due"]
    api.bad(Role.OPERATOR, "POST", f"{path}/extension", {"reason": "again"}, status=409)
    assert api.good(Role.APPROVER, "POST", f"{path}/denial", {"reason": "legal claims"})["state"] == "denied"
    assert "has ended" in api.bad(Role.OPERATOR, "POST", f"{path}/cancellation", {"reason": "x"}, status=409)
    api.bad(Role.OPERATOR, "POST", "/requests/case-9/denial", {"reason": "x"}, status=404)
    api.ask("case-2")
    for reason in ("", "a\nb", "ann@home", "x" * 201):
        api.bad(Role.OPERATOR, "POST", "/requests/case-2/denial", {"reason": reason}, status=422)


def test_the_board_is_by_date_and_warns(home: Path) -> None:
    now = Travel()
    api = Api(home, now=now)
    api.ask("case-1")
    now.on(days=20)
    api.ask("case-2")
    value = api.good(Role.AUDITOR, "GET", "/board?seconds_per_request=1000000")
    assert value["open"] == 2
    assert [(each["request"], each["warning"]) for each in value["requests"]] == [("case-1", 50), ("case-2", 0)]
    assert [each["misses"] for each in value["requests"]] == [True, False]
    assert len(api.good(Role.AUDITOR, "GET", "/board?most=1")["requests"]) == 1
    for wrong in ("seconds_per_request=inf", "seconds_per_request=-1", "seconds_per_request=1e9", "most=0"):
        api.bad(Role.AUDITOR, "GET", f"/board?{wrong}", status=422)
    api.close()


def test_the_log_is_checked_and_a_changed_entry_is_named(api: Api, home: Path) -> None:
    api.ask("case-1")
    head = api.good(Role.AUDITOR, "GET", "/log/verification")["head"]
    assert api.good(Role.AUDITOR, "GET", f"/log/verification?head={head}")["sound"] is True
    api.bad(Role.AUDITOR, "GET", "/log/verification?head=1", status=422)
    longer = f"99:{head.partition(':')[2]}"
    assert "once had 99" in api.bad(Role.AUDITOR, "GET", f"/log/verification?head={longer}", status=409)
    with sqlite3.connect(home / ".tmu" / "ledger.db") as raw:
        raw.execute("DROP TRIGGER audit_log_no_update")
        raw.execute("UPDATE audit_log SET body = replace(body, 'requester', 'somebody') WHERE seq = 5")
    assert "Entry 5 of the audit log was changed" in api.bad(Role.AUDITOR, "GET", "/log/verification", status=409)
