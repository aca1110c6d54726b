"""The Prefect server, on PostgreSQL, and the work pool of our workers."""

import sys

from infra.stack import health
from infra.stack.place import Stack
from infra.stack.ports import LOOPBACK, port_of
from infra.stack.server import Server
from tmu.errors import StorageError

POOL = "tmu"


def server(stack: Stack) -> Server:
    """API, page and schedules in one process."""
    api = stack.need("prefect_api_url")
    port = port_of(api, "prefect_api_url")
    return Server(
        name="prefect",
        label="Prefect server",
        command=[sys.executable, "-m", "prefect", "server", "start", "--host", LOOPBACK, "--port", str(port)],
        environment=stack.variables(
            "prefect",
            PREFECT_HOME=str(stack.state("prefect")),
            PREFECT_API_URL=api,
            PREFECT_SERVER_DATABASE_CONNECTION_URL=stack.need("prefect_database"),
            PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT="false",
            # in memory, its default, leases die with the server, and slots stay taken for good
            PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE="prefect.server.concurrency.lease_storage.filesystem",
            # by default every page that a browser on this machine has open may call the API
            PREFECT_SERVER_CORS_ALLOWED_ORIGINS=f"http://{LOOPBACK}:{port},http://localhost:{port}",
            PREFECT_SERVER_LOGGING_LEVEL="WARNING",
        ),
        probe=health.http(f"{api}/health"),
        needs=["postgres"],
        after=lambda: _make_pool(api),
        port=port,
        page=api.removesuffix("/api"),
        watched=f"{api}/health",
    )


def _make_pool(api: str) -> None:
    """The work pool, so that workers find one; all else about it is `infra.bootstrap`'s."""
    import httpx

    with httpx.Client(trust_env=False, timeout=30) as client:
        answer = client.post(f"{api}/work_pools/", json={"name": POOL, "type": "process"})
    if answer.status_code not in (200, 201, 409):
        raise StorageError(f"The Prefect server refuses the work pool: {answer.status_code}.", "See `make logs`.")
