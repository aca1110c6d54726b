"""A real server, killed with -9 amid intakes: what it acknowledged is there, and nothing twice."""

import signal
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread

import httpx
import pytest
import sqlalchemy as sa

from tests.service_process import server
from tests.service_tools import described_home
from tmu.ledger import proof
from tmu.ledger.actor import OPERATOR
from tmu.ledger.place import open_ledger
from tmu.ledger.schema import forget_entries, receipts, requests
from tmu.service.roles import Role
from tmu.service.tokens import create, tokens_of
from tmu.workspace import Workspace

ALL = 120
EACH = 10


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return described_home(tmp_path)


def body(number: int) -> dict:
    return {"id": f"case-{number}", "subjects": [f"raw-person-{number}"]}


def send(url: str, token: str, done: list[str]) -> None:
    """Single requests and batches in turn, until all are sent or the server is gone; `done` takes what it answers."""
    with (
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=20) as client,
        suppress(httpx.TransportError),
    ):
        for first in range(0, ALL, EACH):
            one, rest = body(first), [body(number) for number in range(first + 1, first + EACH)]
            assert client.post("/requests", json=one).status_code in (200, 201)
            done.append(one["id"])
            answers = client.post("/requests:batch", json={"requests": rest}).json()
            assert {answer["status"] for answer in answers} <= {200, 201}
            done += [answer["request"] for answer in answers]


def test_kill_9_amid_intakes_loses_and_doubles_nothing(home: Path, tmp_path: Path) -> None:
    ledger, logs = open_ledger(Workspace.open(home)), [tmp_path / "first.log", tmp_path / "second.log"]
    token = create(ledger, tokens_of(Workspace.open(home)), "portal", [Role.REQUESTER], 1, OPERATOR)[1]
    acknowledged: list[str] = []
    with server(home, logs[0]) as (process, url):
        sender = Thread(target=send, args=(url, token, acknowledged))
        sender.start()
        while len(acknowledged) < 40 and sender.is_alive():
            time.sleep(0.001)
        process.kill()
        sender.join(30)
        assert process.wait(20) == -signal.SIGKILL
    assert 40 <= len(acknowledged) < ALL  # it was killed in the middle

    with ledger.read() as connection:
        stored = list(connection.scalars(sa.select(requests.c.id)))
    assert set(acknowledged) <= set(stored)
    assert len(stored) - len(acknowledged) in (0, 1, EACH - 1)  # the call under way: all of it or nothing
    proof.verify(ledger)

    again: list[str] = []
    with server(home, logs[1]) as (_, url):
        send(url, token, again)
    assert again == [f"case-{number}" for number in range(ALL)]
    with ledger.read() as connection:
        for table in (requests, forget_entries, receipts):
            assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == ALL
    assert proof.verify(ledger).seq == 2 * ALL + 1  # received and queued; and the token
    said = "".join(log.read_text() for log in logs)
    assert "POST /requests 201" in said
    assert "raw-person" not in said
    assert "case-" not in said
