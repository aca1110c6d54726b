"""All servers of a stack, in the order in which they start; they stop in the reverse order."""

from infra.stack import api, ceph, mlflow_server, moto, postgres, prefect_server, worker
from infra.stack.place import Stack
from infra.stack.server import Server


def servers(stack: Stack) -> list[Server]:
    """The plan. Raises ConfigError where something is not installed or a setting names another machine."""
    store = ceph if stack.need("s3_server") == "ceph" else moto
    return [
        postgres.server(stack),
        *store.servers(stack),
        prefect_server.server(stack),
        mlflow_server.server(stack),
        api.server(stack),
        *worker.servers(stack),
    ]
