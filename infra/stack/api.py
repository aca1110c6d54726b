"""`tmu serve`, the HTTP API of the ledger."""

import sys

from infra.stack import health
from infra.stack.place import ROOT, Stack
from infra.stack.ports import LOOPBACK, port_of
from infra.stack.server import Server


def server(stack: Stack) -> Server:
    """The API on the loopback; its ledger is in PostgreSQL."""
    page = stack.need("api_url")
    port = port_of(page, "api_url")
    serve = "from tmu.cli import main; main()"
    return Server(
        name="api",
        label="HTTP API (tmu serve)",
        command=[sys.executable, "-c", serve, "serve", "--host", LOOPBACK, "--port", str(port)],
        environment=stack.variables("api", PREFECT_API_URL=stack.need("prefect_api_url")),
        folder=str(ROOT),
        probe=health.http(f"{page}/ready"),
        needs=["postgres"],
        port=port,
        page=page,
        watched=f"{page}/health",
    )
