"""The Prefect server, on PostgreSQL, and the work pool of our workers."""

import sys

from infra.stack import health
from infra.stack.gate import origins
from infra.stack.place import ROOT, Stack
from infra.stack.ports import port_of
from infra.stack.server import Server
from tmu.errors import StorageError
from tmu.prefect_api import PrefectApi

POOL = "tmu"


def server(stack: Stack) -> Server:
    """API, page and schedules in one process (`prefect_main.py`)."""
    api = stack.prefect
    port = port_of(api.url, "prefect_api_url")
    return Server(
        name="prefect",
        label="Prefect server",
        command=[sys.executable, "-m", "infra.stack.prefect_main", str(port)],
        environment=stack.variables(
            "prefect",
            PREFECT_HOME=str(stack.state("prefect")),
            PREFECT_SERVER_API_AUTH_STRING=stack.need("prefect_login"),
            **api.environment(),  # its own services call it
            PREFECT_SERVER_DATABASE_CONNECTION_URL=stack.need("prefect_database"),
            PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT="false",
            # in memory, its default, leases die with the server, and slots stay taken for good
            PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE="prefect.server.concurrency.lease_storage.filesystem",
            # by default every page that a browser on this machine has open may call the API
            PREFECT_SERVER_CORS_ALLOWED_ORIGINS=",".join(origins(port)),
            PREFECT_SERVER_LOGGING_LEVEL="WARNING",
        ),
        folder=str(ROOT),
        probe=health.http(f"{api.url}/health"),
        needs=["postgres"],
        after=lambda: _make_pool(api),
        port=port,
        page=api.url.removesuffix("/api"),
        watched=f"{api.url}/health",
    )


def _make_pool(api: PrefectApi) -> None:
    """The work pool, so that workers find one; all else about it is `infra.bootstrap`'s."""
    import httpx

    with httpx.Client(trust_env=False, timeout=30, auth=api.auth) as client:
        answer = client.post(f"{api.url}/work_pools/", json={"name": POOL, "type": "process"})
    if answer.status_code not in (200, 201, 409):
        raise StorageError(f"The Prefect server refuses the work pool: {answer.status_code}.", "See `make logs`.")
