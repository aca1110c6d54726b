"""Prefect's temporary server, started so that it ends with the process that asked for it, even after kill -9.

Prefect starts it as a child and stops it at exit; a process that is killed never gets there, and the server stayed for
good. Here the child holds the reading end of a pipe whose only writing end is the parent's: when the parent is gone,
however it went, the kernel closes the pipe, and the server ends itself. No process is looked up by number or name.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefect.server.api.server import SubprocessASGIServer

GRACE = 5.0  # seconds between the request to stop and the end; as long as Prefect itself waits


def tie() -> None:
    """Let the temporary server of this process be started by `_start`. Prefect's settings must be in place by now."""
    from prefect.server.api.server import SubprocessASGIServer

    SubprocessASGIServer._run_uvicorn_command = _start


def _start(server: "SubprocessASGIServer") -> subprocess.Popen:
    """As Prefect 3.8's own `_run_uvicorn_command`, but for the pipe: same application, settings and port."""
    from prefect.settings import get_current_settings

    marks = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    command = [sys.executable, "-P", "-m", __name__, str(server.port)]  # -P: nothing from the folder one is in
    return subprocess.Popen(command, env={**os.environ, **marks, **settings}, stdin=subprocess.PIPE)


def serve(port: int) -> None:
    """Serve Prefect's API on the loopback until asked to stop or until standard input is closed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import uvicorn

    application = "prefect.server.api.server:create_app"
    uvicorn.run(application, factory=True, host="127.0.0.1", port=port, log_level="error", lifespan="on")


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 4096):  # nothing is ever written: it returns at the end of the file
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
