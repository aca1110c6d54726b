"""`mlflow server`, in one process and behind the gate: `python -m infra.stack.mlflow_main server …`.

MLflow starts uvicorn as a child and waits. A parent killed with -9 leaves the child behind, which holds the port, so
that no restart succeeds; and the waiting parent takes some 200 MiB. Here the parent becomes uvicorn instead, with
MLflow's application wrapped (`gate.py`). MLflow's own checks of Host and Origin stay on behind it.
"""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_THEIRS = "mlflow.server.fastapi_app:app"
_OURS = "infra.stack.mlflow_main:application"
_PROTOCOL = "tmu.service.server:Patient"  # refuses calls with two lengths
_LOGIN = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")  # as MLflow's clients have it
_PORT = "GATE_PORT"


def become(command: Sequence[str], *, extra_env: Mapping[str, str], **_: Any) -> NoReturn:
    """What MLflow 3.17 calls to start its web server. Raises RuntimeError where it would serve another application."""
    if command[-1] != _THEIRS:
        raise RuntimeError(f"MLflow would serve {command[-1]}, not {_THEIRS}: nothing is served without a login.")
    port = command[command.index("--port") + 1]
    served = [*command[:-1], "--no-proxy-headers", "--http", _PROTOCOL, "--factory", _OURS]
    os.execvpe(served[0], served, {**os.environ, **extra_env, _PORT: port})  # noqa: S606


def application() -> "ASGIApp":
    """MLflow's application; whoever calls brings the login, but for the question for its health.

    Without its assistant: for callers on the same machine that runs shell commands on the server, for a language model
    whose address the caller chooses.
    """
    from mlflow.server.assistant.api import assistant_router
    from mlflow.server.fastapi_app import app

    from infra.stack.gate import guarded

    login = ":".join(os.environ[name] for name in _LOGIN)
    closed = [assistant_router.prefix]
    return guarded(app, int(os.environ[_PORT]), login=login, open_paths=["/health"], closed=closed)


def main() -> None:
    """MLflow's own command line."""
    from mlflow import server
    from mlflow.cli import cli

    server._exec_cmd = become
    cli(prog_name="mlflow")


if __name__ == "__main__":
    main()
