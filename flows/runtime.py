"""With a Prefect server or without one: set up before `prefect` is imported.

With PREFECT_API_URL or setting `prefect_api_url`, a flow called here is a run on that server. Without, it is a plain
call in this process: the same functions in the same order (`tasks/plain.py`). No server is started for it.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.say import say
from tmu.errors import StorageError
from tmu.loopback import exempt_loopback
from tmu.prefect_api import api_of
from tmu.settings import load_settings

if TYPE_CHECKING:
    from prefect import Flow

PATIENCE = 30.0
"""Seconds that a server may take to answer: `make up` may be starting it."""
_START = "Start it with `make up`, or unset PREFECT_API_URL and `prefect_api_url` to work without one."


def prepare(home: str) -> None:
    """Point Prefect at the workspace, quietly; variables that are set already win."""
    exempt_loopback()
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
    if api is None:
        defaults |= {
            "PREFECT_HOME": str(state),  # no profile of the user's names a server
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",  # whatever asks for a server fails, and starts none
        }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def run_flow(flow: "Flow[..., Any]", **parameters: Any) -> Any:
    """A flow's result: as a run of the server that `prepare` found, else by a plain call. Parameters are checked alike.

    Raises StorageError where the server does not answer, or stops answering.
    """
    url = os.environ.get("PREFECT_API_URL")
    if url:
        with _answering(url):
            return flow(**parameters)
    from prefect.utilities.callables import get_call_parameters

    return flow.fn(**flow.validate_parameters(get_call_parameters(flow.fn, (), parameters)))


@contextmanager
def _answering(url: str) -> Iterator[None]:
    """Wait for the server; in the block, what it does not answer is a StorageError."""
    import httpx
    from prefect.exceptions import PrefectHTTPStatusError

    _await(url)
    try:
        yield
    except httpx.TransportError as error:
        raise StorageError(f"The Prefect server at {url} stopped answering ({_cause(error)}).", _START) from error
    except PrefectHTTPStatusError as error:
        code = error.response.status_code
        raise StorageError(f"The Prefect server at {url} answered {code}.", "See its log: `make logs`.") from error


def _await(url: str) -> None:
    """Return once the server says that it is well. Raises StorageError naming the cause."""
    import httpx

    began, told = time.monotonic(), False
    while True:
        try:
            answer = httpx.get(f"{url.rstrip('/')}/health", timeout=10)
            if answer.is_success:
                return
            cause = f"it answered {answer.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL, ImportError, ValueError) as error:  # of a proxy, too
            cause = _cause(error)
        if time.monotonic() - began > PATIENCE:
            raise StorageError(f"The Prefect server at {url} does not answer: {cause}{_by_proxy(url)}.", _START)
        if not told:
            say(f"Waiting for the Prefect server at {url} ({cause})")
            told = True
        time.sleep(1)


def _cause(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


def _by_proxy(url: str) -> str:
    """Which proxy is in between, if the environment names one for that address."""
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    parts, proxies = urlsplit(url), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc):
        return ""
    return f" (through the proxy {urlsplit(proxy).netloc.rpartition('@')[2] or proxy})"  # without its login
