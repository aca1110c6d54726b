"""`mlflow server`, in one process: `python -m infra.stack.mlflow_main server …`.

MLflow starts uvicorn as a child and waits. A parent killed with -9 leaves the child behind, which holds the port, so
that no restart succeeds; and the waiting parent takes some 200 MiB. Here the parent becomes uvicorn instead.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn


def become(command: Sequence[str], *, extra_env: Mapping[str, str], **_: Any) -> NoReturn:
    """What MLflow 3.17 calls to start its web server."""
    os.execvpe(command[0], list(command), {**os.environ, **extra_env})


def main() -> None:
    """MLflow's own command line."""
    from mlflow import server
    from mlflow.cli import cli

    server._exec_cmd = become
    cli(prog_name="mlflow")


if __name__ == "__main__":
    main()
