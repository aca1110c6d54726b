"""The MLflow server, on PostgreSQL; it passes artifacts through to S3, so that its clients need no S3 key."""

import sys

from infra.stack import health
from infra.stack.gate import HOSTS, origins
from infra.stack.place import ROOT, Stack
from infra.stack.ports import LOOPBACK, port_of
from infra.stack.secret_file import BUCKETS
from infra.stack.server import Server
from tmu.stores.mlflow_login import login_variables


def server(stack: Stack) -> Server:
    """One process (`mlflow_main.py`), without MLflow's job runner, which would be eight more."""
    page = stack.need("mlflow_uri")
    port = port_of(page, "mlflow_uri")
    listen = ["--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    hosts = ",".join(f"{host}:{port}" for host in HOSTS)
    doors = ["--allowed-hosts", hosts, "--cors-allowed-origins", ",".join(origins(port))]
    artifacts = ["--serve-artifacts", "--artifacts-destination", f"s3://{BUCKETS['mlflow']}"]
    return Server(
        name="mlflow",
        label="MLflow server",
        command=[sys.executable, "-m", "infra.stack.mlflow_main", "server", *listen, *doors, *artifacts],
        environment=stack.variables(
            "mlflow",
            MLFLOW_BACKEND_STORE_URI=stack.need("mlflow_database"),
            MLFLOW_S3_ENDPOINT_URL=stack.need("s3_endpoint"),
            MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
            **login_variables(stack.settings),
            AWS_ACCESS_KEY_ID=stack.need("s3_access_key"),
            AWS_SECRET_ACCESS_KEY=stack.need("s3_secret_key"),
            AWS_DEFAULT_REGION="us-east-1",
            AWS_RETRY_MODE="standard",
            AWS_MAX_ATTEMPTS="2",  # a store that hangs is answered with an error, and the caller tries again
        ),
        folder=str(ROOT),
        probe=health.http(f"{page}/health"),
        needs=["postgres"],
        port=port,
        page=page,
        watched=f"{page}/health",
    )
