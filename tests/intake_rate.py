"""How many requests a second `tmu serve` puts on record, over HTTP in batches, into SQLite: a look, no test.

python -m tests.intake_rate [REQUESTS [BATCH]]        prints one JSON object
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import httpx

from tests.service_process import server
from tests.service_tools import described_home
from tmu.ledger import proof
from tmu.ledger.actor import OPERATOR
from tmu.ledger.place import open_ledger
from tmu.service.roles import Role
from tmu.service.tokens import create, tokens_of
from tmu.workspace import Workspace


def main(n: int = 5000, batch: int = 100) -> None:
    """Send `n` requests one batch after another on one connection."""
    with tempfile.TemporaryDirectory() as folder:
        home = described_home(Path(folder))
        ledger = open_ledger(Workspace.open(home))
        token = create(ledger, tokens_of(Workspace.open(home)), "portal", [Role.REQUESTER], 1, OPERATOR)[1]
        bodies = [{"id": f"case-{number}", "subjects": [f"person {number}"]} for number in range(n)]
        headers = {"Authorization": f"Bearer {token}"}
        with server(home, home / "log") as (_, url), httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            began, worst = time.perf_counter(), 0.0
            for first in range(0, n, batch):
                sent = time.perf_counter()
                answers = client.post("/requests:batch", json={"requests": bodies[first : first + batch]}).json()
                assert all(answer["status"] == 201 for answer in answers)
                worst = max(worst, time.perf_counter() - sent)
            seconds = time.perf_counter() - began
        assert proof.verify(ledger).seq == 2 * n + 1
        value = {"requests": n, "batch": batch, "seconds": round(seconds, 2), "per_second": round(n / seconds)}
        print(json.dumps(value | {"slowest_batch_ms": round(1000 * worst)}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
