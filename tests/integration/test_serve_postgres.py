"""The HTTP service while its PostgreSQL is stopped and killed: 503, and then it goes on without a restart."""

from pathlib import Path

import httpx

from bench.service.postgres import Postgres
from bench.service.server import server
from tests.service_tools import described_home
from tmu.ledger import proof
from tmu.ledger.actor import OPERATOR
from tmu.ledger.store import Ledger
from tmu.service.roles import Role
from tmu.service.tokens import create, tokens_of
from tmu.workspace import Workspace


def body(number: int) -> dict:
    return {"id": f"case-{number}", "subjects": [f"person {number}"]}


def test_while_the_database_is_down_callers_are_told_so_and_then_served(
    postgres: Postgres, database: str, tmp_path: Path
) -> None:
    home, ledger = described_home(tmp_path), Ledger.open(database)
    token = create(ledger, tokens_of(Workspace.open(home)), "portal", [Role.REQUESTER], 1, OPERATOR)[1]
    headers = {"Authorization": f"Bearer {token}"}
    with (
        server(home, tmp_path / "log", ledger=database) as (process, url),
        httpx.Client(base_url=url, headers=headers, timeout=30) as client,
    ):
        assert client.post("/requests", json=body(1)).status_code == 201
        for number, end in enumerate((postgres.stop, postgres.kill), 2):
            end()
            for answer in (client.post("/requests", json=body(number)), client.get("/requests"), client.get("/ready")):
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
                assert answer.headers["content-type"] == "application/problem+json"
                assert database.rpartition("/")[2] not in answer.text
            assert client.get("/health").status_code == 200
            assert client.post("/requests", json=body(9), headers={"Authorization": "Bearer x"}).status_code == 401
            postgres.start()
            assert client.get("/ready").status_code == 200
            assert client.post("/requests", json=body(number)).status_code == 201
        assert client.post("/requests", json=body(1)).status_code == 200
        assert process.poll() is None
    assert proof.verify(ledger).seq == 1 + 3 * 2
    ledger.close()
    assert database.split(":")[2].split("@")[0] not in (tmp_path / "log").read_text()  # the password
