"""Single requests over HTTP into PostgreSQL, from several clients; the server is killed with -9 midway.

A client repeats a call that got no answer until it has one. In the end each request must be on record once.
"""

import http.client
import json
import statistics
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from bench.service.postgres import Postgres
from bench.service.records import make_records
from bench.service.server import server
from tmu.data.keys import DEMO_SECRET, Keys
from tmu.ledger import proof
from tmu.ledger.actor import OPERATOR
from tmu.ledger.schema import audit_log, forget_entries, receipts
from tmu.ledger.schema import requests as requests_table
from tmu.ledger.store import Ledger
from tmu.service.roles import Role
from tmu.service.tokens import create, tokens_of
from tmu.workspace import Workspace

Rows = dict[str, tuple[float, str]]
"""Value and unit by metric."""


@dataclass
class Answers:
    """What the clients were told. address: of the server; None while there is none."""

    address: str | None = None
    told: set[str] = field(default_factory=set)
    milliseconds: list[float] = field(default_factory=list)
    repeated: int = 0
    wrong: list[int] = field(default_factory=list)


def measure(folder: Path, postgres: Postgres, *, requests: int, clients: int) -> Rows:
    """Send so many requests; the server is killed after half of the answers, and started again."""
    url = postgres.new_database()
    (folder / "params.yaml").write_text("{}")
    (folder / ".tmu").mkdir()
    make_records(folder / "data", Keys(DEMO_SECRET), 100, 10, buckets=4)
    ledger, tokens = Ledger.open(url), tokens_of(Workspace.open(folder))
    texts = [create(ledger, tokens, f"portal-{n}", [Role.REQUESTER], 1, OPERATOR)[1] for n in range(clients)]
    answers = Answers()
    threads = [
        threading.Thread(target=_client, args=(answers, text, range(first, requests, clients)), daemon=True)
        for first, text in enumerate(texts)
    ]
    with server(folder, folder / "first.log", ledger=url) as (process, answers.address):
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        while len(answers.told) < requests // 2 and any(thread.is_alive() for thread in threads):
            time.sleep(0.01)
        process.kill()
        killed, answers.address = time.perf_counter(), None
    before = len(answers.told)
    with server(folder, folder / "second.log", ledger=url) as (_, answers.address):
        up = time.perf_counter()
        for thread in threads:
            thread.join()
        ended = time.perf_counter()
    rows = _rates(answers, requests, (killed - began) + (ended - up), up - killed)
    rows |= {"answered_before_the_kill": (before, ""), **_proof(ledger, requests, clients)}
    ledger.close()
    return rows


def _client(answers: Answers, token: str, numbers: range) -> None:
    """One connection, one request after another, each until it is answered."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection: http.client.HTTPConnection | None = None
    for number in numbers:
        name = f"case-{number}"
        body, tries = json.dumps({"id": name, "subjects": [f"person {number}"]}), 0
        while True:
            with suppress(OSError, http.client.HTTPException):
                connection = connection or _connect(answers)
                sent = time.perf_counter()
                connection.request("POST", "/requests", body, headers)
                answer = connection.getresponse()
                answer.read()
                break
            connection, tries = None, tries + 1
        answers.repeated += tries > 0
        if answer.status not in (200, 201):
            answers.wrong.append(answer.status)
        elif not tries:
            answers.milliseconds.append(1000 * (time.perf_counter() - sent))
        answers.told.add(name)


def _connect(answers: Answers) -> http.client.HTTPConnection:
    while answers.address is None:
        time.sleep(0.01)
    place = urlsplit(answers.address)
    return http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)


def _rates(answers: Answers, requests: int, seconds: float, down: float) -> Rows:
    quantiles = statistics.quantiles(answers.milliseconds, n=100)
    return {
        "requests": (requests, ""),
        "requests_per_second": (requests / seconds, "1/s"),
        "milliseconds_median": (quantiles[49], "ms"),
        "milliseconds_99_percent": (quantiles[98], "ms"),
        "seconds_without_a_server": (down, "s"),
        "calls_repeated": (answers.repeated, ""),
        "answers_of_another_status": (len(answers.wrong), ""),
    }


def _proof(ledger: Ledger, requests: int, clients: int) -> Rows:
    """Count what is on record, and check the whole chain. Raises ChainError where it is broken."""
    began = time.perf_counter()
    head = proof.verify(ledger)
    seconds = time.perf_counter() - began
    with ledger.read() as connection:
        stored = set(connection.scalars(sa.select(requests_table.c.id)))
        received = sa.select(sa.func.count()).where(audit_log.c.event == "received")
        most = max(connection.scalar(received), *(_count(connection, table) for table in (forget_entries, receipts)))
    asked = {f"case-{number}" for number in range(requests)}
    return {
        "lost": (len(asked - stored), ""),
        "doubled": (most - len(stored), ""),
        "entries_not_accounted_for": (head.seq - 2 * requests - clients, ""),
        "seconds_verifying_the_log": (seconds, "s"),
    }


def _count(connection: sa.Connection, table: sa.Table) -> Any:
    return connection.scalar(sa.select(sa.func.count()).select_from(table))
