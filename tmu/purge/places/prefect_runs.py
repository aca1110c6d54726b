"""Flow runs whose parameters name the people: Prefect keeps parameters as long as the run."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import httpx

from tmu.errors import StorageError
from tmu.prefect_api import PrefectApi, api_of
from tmu.provenance import now
from tmu.purge.place import Place
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Holds, Trace
from tmu.workspace import Workspace

ORDER = 40
SECONDS = 10.0
"""How long the server may take for one answer."""
_PAGE = 200
_ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def places(workspace: Workspace) -> list[Place]:
    """The server's, if there is one: without it no run is kept."""
    api = api_of(workspace.settings)
    return [FlowRuns(api)] if api else []


class FlowRuns:
    """Runs of a Prefect server. A run that has not ended stays until the next day: it may be the one that purges."""

    name = "Prefect's flow runs"

    def __init__(self, api: PrefectApi):
        self._api = api

    def find(self, scope: Scope) -> Iterator[Trace]:
        """One trace a run, by its id."""
        tomorrow = (date.fromisoformat(now()[:10]) + timedelta(days=1)).isoformat()
        for run in self._runs():
            parameters = json.dumps(run["parameters"])
            if not any(key in parameters for key in scope.keys):
                continue
            fields = {"place": self.name, "address": run["id"], "holds": Holds.KEYS}
            if run["state_type"] in _ENDED:
                yield Trace(**fields, action=Action.DESTROY)
            else:
                yield Trace(**fields, action=Action.EXPIRE, why="the run has not ended", until=tomorrow)

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Delete the run, with its task runs and logs."""
        self._call("DELETE", f"flow_runs/{trace.address}", gone=404)

    def _runs(self) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            body = {"limit": _PAGE, "offset": offset, "sort": "EXPECTED_START_TIME_ASC"}
            page = self._call("POST", "flow_runs/filter", body).json()
            yield from page
            if len(page) < _PAGE:
                return
            offset += _PAGE

    def _call(self, method: str, path: str, body: Any = None, gone: int | None = None) -> httpx.Response:
        """The server's answer. gone: a status that is as good. Raises StorageError for others, and for none in time."""
        try:
            url = f"{self._api.url.rstrip('/')}/{path}"
            answer = httpx.request(method, url, json=body, auth=self._api.auth, timeout=SECONDS)
        except httpx.HTTPError as error:
            what = f"Prefect's server does not answer ({type(error).__name__})."
            raise StorageError(what, "Start it with `make up`.") from error
        if not answer.is_success and answer.status_code != gone:
            raise StorageError(f"Prefect's server answered {answer.status_code}.", "See its log: `make logs`.")
        return answer
