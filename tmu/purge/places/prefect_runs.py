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
from tmu.purge.prefect_rows import OldRows
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Holds, Trace
from tmu.workspace import Workspace

ORDER = 40
SECONDS = 10.0
"""How long the server may take for one answer."""
_PAGE = 200
_ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
_AT_WORK = {"RUNNING", "CANCELLING"}  # it has read its parameters
_ROWS = "old rows in the database"
_BEYOND = "tmu cannot reach the database of Prefect's server: setting `prefect_database`"


def places(workspace: Workspace) -> list[Place]:
    """The server's, if there is one: without it no run is kept."""
    api = api_of(workspace.settings)
    return [FlowRuns(api, OldRows(workspace.settings, workspace.state("prefect", "rewrite")))] if api else []


class FlowRuns:
    """Runs of a Prefect server, and their old rows in its database.

    A run at work, such as the one that purges, loses its parameters: it has read them. One that waits needs them, and
    stays until the next day.
    """

    name = "Prefect's flow runs"

    def __init__(self, api: PrefectApi, rows: OldRows) -> None:
        self._api, self._rows = api, rows

    def find(self, scope: Scope) -> Iterator[Trace]:
        """One trace a run, by its id; last the old rows."""
        tomorrow = (date.fromisoformat(now()[:10]) + timedelta(days=1)).isoformat()
        changes = self._rows.wait
        for run in self._runs():
            if not _names(run["parameters"], scope.every_key):
                continue
            fields = {"place": self.name, "address": run["id"], "holds": Holds.KEYS}
            if run["state_type"] in _ENDED | _AT_WORK:
                changes = True
                yield Trace(**fields, action=Action.DESTROY if run["state_type"] in _ENDED else Action.REWRITE)
            else:
                yield Trace(**fields, action=Action.EXPIRE, why="the run waits to be resumed", until=tomorrow)
        if changes:
            action, why = (Action.REWRITE, "") if self._rows.reachable else (Action.EXPIRE, _BEYOND)
            yield Trace(place=self.name, address=_ROWS, holds=Holds.KEYS, action=action, why=why)

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Delete the run, with its task runs and logs; take the keys from one at work; or rewrite the table."""
        if trace.address == _ROWS:
            self._rows.rewrite()
            return
        self._rows.note()
        if trace.action is Action.DESTROY:
            self._call("DELETE", f"flow_runs/{trace.address}", gone=404)
            return
        run = self._call("GET", f"flow_runs/{trace.address}", gone=404).json()
        if "parameters" in run:
            kept = {"parameters": _without(run["parameters"], scope.every_key)}
            self._call("PATCH", f"flow_runs/{trace.address}", kept, gone=404)

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


def _names(parameters: Any, keys: frozenset[str]) -> bool:
    text = json.dumps(parameters)
    return any(key in text for key in keys)


def _without(value: Any, keys: frozenset[str]) -> Any:
    """Parameters without every item of a list, and every text, that names a key."""
    if isinstance(value, dict):
        return {name: _without(each, keys) for name, each in value.items()}
    if isinstance(value, list):
        return [_without(each, keys) for each in value if not (isinstance(each, str) and _names(each, keys))]
    return "" if isinstance(value, str) and _names(value, keys) else value
