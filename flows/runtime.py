"""Prefect without a server of your own: set up before `prefect` is imported.

With PREFECT_API_URL or setting `prefect_api_url`, the flows run against that server. Without, Prefect starts a
temporary server in the workspace; its database and the tasks' JSON results lie beside the artifacts they refer to. It
ends with this process, however that ends (`temporary_server.py`).
"""

import os
from pathlib import Path

from flows import temporary_server
from flows.prefect_api import api_of
from tmu.settings import load_settings


def prepare(home: str) -> None:
    """Point Prefect at the workspace, quietly; variables that are set already win."""
    root = Path(home or os.environ.get("TMU_HOME") or ".").resolve()
    state = root / ".tmu" / "prefect"
    defaults = {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_LOCAL_STORAGE_PATH": str(state / "results"),
    }
    api = api_of(load_settings(root))
    os.environ.update(api.environment() if api else {})
    own = api is None
    if own:
        defaults |= {
            "PREFECT_LOGGING_LEVEL": "CRITICAL",  # errors reach the terminal as the command line's own one line
            "PREFECT_HOME": str(state),
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "150",
            "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
        }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    if own:
        temporary_server.tie()
