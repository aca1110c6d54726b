"""Intake over HTTP: idempotent, keys in place of ids at once, and a requester sees its own."""

import logging
from pathlib import Path

import pytest

from tests.ledger_tools import KEYS, entry_states
from tests.service_tools import Api
from tmu.ledger import proof
from tmu.service.roles import Role

RAW = "maria-de-la-cruz-1987"


def everything_stored(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_intake_is_idempotent_and_another_payload_is_409(api: Api) -> None:
    body = {"id": "case-1", "subjects": ["ann", "bob"]}
    first = api.call(Role.REQUESTER, "POST", "/requests", body)
    again = api.call(Role.REQUESTER, "POST", "/requests", body | {"subjects": ["bob", "ann"]})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json() | {"new": True}
    assert first.json()["state"] == "queued"
    said = api.bad(Role.REQUESTER, "POST", "/requests", body | {"subjects": ["carl"]}, status=409)
    assert "carl" not in said
    other = api.token("other", Role.REQUESTER)
    assert "case-1 is already recorded" in api.bad(other, "POST", "/requests", body, status=409)
    assert [each["request"] for each in api.good(Role.OPERATOR, "GET", "/requests")["requests"]] == ["case-1"]


def test_no_raw_id_is_stored_logged_or_repeated(
    api: Api, home: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    hold = {"scope": "subject", "subject": RAW, "reason": "court file 12"}
    many = {"requests": [{"id": "case-2", "subjects": [RAW]}, {"id": "case-1", "subjects": [RAW, "x"]}]}
    answers = [
        api.call(Role.REQUESTER, "POST", "/requests", {"id": "case-1", "subjects": [RAW], "records": [RAW]}),
        api.call(Role.REQUESTER, "POST", "/requests:batch", many),
        api.call(Role.OPERATOR, "POST", "/holds", hold),
        api.call(Role.AUDITOR, "GET", "/holds"),
        api.call(Role.REQUESTER, "GET", "/requests/case-1"),
        # and what is refused: a wrong type, an unknown name, an id in the wrong place, a path, a query, no JSON
        api.call(Role.REQUESTER, "POST", "/requests", {"id": "case-3", "subjects": RAW}),
        api.call(Role.REQUESTER, "POST", "/requests", {"id": "case-3", RAW: 1, "subjects": ["x"]}),
        api.call(Role.REQUESTER, "POST", "/requests", {"id": RAW, "subjects": [RAW]}),
        api.call(Role.REQUESTER, "POST", "/requests", {"id": f"{RAW}@home", "subjects": ["x"]}),
        api.call(Role.REQUESTER, "POST", "/requests", {"id": "case-3", "subjects": ["x"], "dataset": RAW}),
        api.call(Role.REQUESTER, "POST", "/requests", {"id": "case-3", "subject_keys": [RAW]}),
        api.call(Role.REQUESTER, "POST", "/requests", {"id": "case-3", "subjects": ["x"], "urgent": RAW}),
        api.call(Role.OPERATOR, "POST", "/holds", hold | {"reason": f"file of {RAW}"}),
        api.call(Role.OPERATOR, "POST", "/requests/case-1/plan", {"method": RAW}),
        api.call(Role.OPERATOR, "GET", f"/requests/{RAW}"),
        api.call(Role.OPERATOR, "GET", f"/{RAW}/requests"),
        api.call(Role.OPERATOR, "GET", "/requests", params={"state": RAW, "after": RAW}),
        api.call(RAW, "GET", "/requests"),
        api.call(Role.REQUESTER, "POST", "/requests", content=f'{{"{RAW}', headers={"content-type": "text/json"}),
        api.call(Role.REQUESTER, "POST", "/requests", content=RAW, headers={"content-type": "application/json"}),
        api.call(None, "BREW", f"/requests/{RAW}"),
    ]
    assert [answer.status_code for answer in answers[:5]] == [201, 200, 201, 200, 200]
    assert all(400 <= answer.status_code < 500 for answer in answers[5:]), [a.status_code for a in answers]
    logged = "".join(
        record.getMessage() for record in caplog.records if record.name not in ("httpx", "httpx2")
    )  # the client of the test
    said = "".join(answer.text + str(answer.headers) for answer in answers)
    assert "POST /requests 201" in logged  # there is a log, in which it is looked for
    out, err = capfd.readouterr()
    for text in (said, logged, out, err):
        assert RAW not in text.casefold()
    stored = everything_stored(home)
    assert KEYS.subject(RAW).encode() in stored
    assert RAW.encode() not in stored
    assert api.tokens[Role.REQUESTER].encode() not in stored


def test_keys_and_raw_ids_name_the_same_person(api: Api) -> None:
    api.ask("case-1", "ann")
    answer = api.ask("case-2", subjects=[], subject_keys=[KEYS.subject("ann")])
    assert answer["merged"] == 1
    assert entry_states(api.ledger, "ann") == ["open"]
    assert "names no person" in api.bad(Role.REQUESTER, "POST", "/requests", {"id": "case-3"}, status=422)


@pytest.mark.parametrize(
    ("id_", "raw", "status"),
    [("case-7", "7", 422), ("case-17", "7", 201), ("anna-1", "ANNA", 422), ("c", "C", 422), ("case-1", "ca", 201)],
)
def test_an_id_inside_the_requests_own_id_is_refused(api: Api, id_: str, raw: str, status: int) -> None:
    answer = api.call(Role.REQUESTER, "POST", "/requests", {"id": id_, "subjects": [raw]})
    assert answer.status_code == status


def test_a_batch_answers_each_in_its_place(api: Api) -> None:
    api.ask("case-1", "ann")
    rows = [{"id": "case-1", "subjects": [who]} for who in ("ann", "bob")] + [{"id": "case-2", "subjects": ["eve"]}]
    answers = api.good(Role.REQUESTER, "POST", "/requests:batch", {"requests": rows})
    assert [(each["status"], each["request"]) for each in answers] == [
        (200, "case-1"),
        (409, "case-1"),
        (201, "case-2"),
    ]
    assert "already recorded with other content" in answers[1]["what"]
    rows = [{"id": f"b-{number}", "subjects": ["ann"]} for number in range(501)]
    assert "at most 500" in api.bad(Role.REQUESTER, "POST", "/requests:batch", {"requests": rows}, status=422)
    faulty = {"requests": [*rows[:3], {"id": "b-x"}]}
    assert "body.requests.3" in api.bad(Role.REQUESTER, "POST", "/requests:batch", faulty, status=422)
    assert len(api.good(Role.OPERATOR, "GET", "/requests")["requests"]) == 2  # nothing of a faulty batch is stored
    proof.verify(api.ledger)


def test_a_requester_sees_its_own_requests_only(api: Api) -> None:
    api.ask("case-1")
    other = api.token("other", Role.REQUESTER)
    for method, path, body in (
        ("GET", "/requests/case-1", None),
        ("GET", "/requests?after=case-1", None),
        ("POST", "/requests/case-1/cancellation", {"reason": "letter"}),
        ("POST", "/requests/case-1/identity", {}),
    ):
        hidden = api.bad(other, method, path, body, status=404)
        assert hidden == api.bad(other, method, path.replace("case-1", "case-9"), body, status=404)  # as if not there
    assert api.good(other, "GET", "/requests")["requests"] == []
    assert len(api.good(Role.REQUESTER, "GET", "/requests")["requests"]) == 1
    shown = api.good(Role.AUDITOR, "GET", "/requests/case-1")
    assert shown["requester"] == "requester"
    assert [entry["event"] for entry in shown["log"]] == ["received", "queued"]
    assert (
        api.good(Role.REQUESTER, "POST", "/requests/case-1/cancellation", {"reason": "letter"})["state"] == "cancelled"
    )
    assert api.good(Role.AUDITOR, "GET", "/requests/case-1")["log"][-1]["event"] == "withdrawn"


def test_pages_and_filters(api: Api) -> None:
    for number in range(5):
        api.ask(f"case-{number}", urgent=number == 2, identity_verified=number != 3)
    seen, after = [], ""
    while True:
        answer = api.good(Role.AUDITOR, "GET", f"/requests?most=2{after}")
        seen += [each["request"] for each in answer["requests"]]
        if answer["next"] is None:
            break
        after = f"&after={answer['next']}"
    assert seen == [f"case-{number}" for number in (4, 3, 2, 1, 0)]

    def only(query: str) -> list[str]:
        return [each["request"] for each in api.good(Role.AUDITOR, "GET", f"/requests?{query}")["requests"]]

    assert only("state=unverified") == ["case-3"]
    assert only("state=unverified&state=queued&urgent=true") == ["case-2"]
    assert only("state=completed") == []
    api.bad(Role.AUDITOR, "GET", "/requests?after=case-9", status=404)
