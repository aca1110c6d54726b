"""Prefect as a person sees it over its API: runs started, watched, cancelled. Outlasts an outage of the server."""

import time
from datetime import UTC, datetime
from typing import Any

import httpx
import psutil

from tmu.prefect_api import PrefectApi

NIGHTLY, RECONCILE = "nightly-batch", "reconcile"
AT_WORK = ("RUNNING", "PENDING", "CANCELLING")
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
_OUTAGE = 120.0  # seconds


class Prefect:
    """A server. Every call waits for a server that is away. Raises httpx.HTTPError when it stays away."""

    def __init__(self, api: PrefectApi):
        self._client = httpx.Client(base_url=api.url, auth=api.auth, trust_env=False, timeout=15)

    def start(self, name: str, **parameters: Any) -> str:
        """A run of the deployment; its id."""
        deployment = self._call("GET", f"/deployments/name/{name}/{name}")
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return str(self._call("POST", f"/deployments/{deployment['id']}/create_flow_run", body)["id"])

    def pause(self, name: str) -> None:
        """No runs by schedule any more; others may still be started."""
        deployment = self._call("GET", f"/deployments/name/{name}/{name}")
        self._call("POST", f"/deployments/{deployment['id']}/pause_deployment")

    def run(self, run: str) -> dict[str, Any]:
        """A run as the server has it."""
        return dict(self._call("GET", f"/flow_runs/{run}"))

    def runs(self, *states: str, name: str | None = None) -> list[dict[str, Any]]:
        """The flow runs in any of the states, of one flow or of all."""
        body: dict[str, Any] = {"flow_runs": {"state": {"type": {"any_": list(states)}}}, "limit": 200}
        if name:
            body["flows"] = {"name": {"any_": [name]}}
        return list(self._call("POST", "/flow_runs/filter", body))

    def tasks(self, *states: str) -> list[dict[str, Any]]:
        """The task runs in any of the states."""
        body = {"task_runs": {"state": {"type": {"any_": list(states)}}}, "limit": 200}
        return list(self._call("POST", "/task_runs/filter", body))

    def slots(self, limit: str) -> int:
        """How many slots of a limit are taken."""
        return int(self._call("GET", f"/v2/concurrency_limits/{limit}")["active_slots"])

    def set_state(self, run: str, state: str, message: str) -> None:
        """Tell the server of a state."""
        body = {"state": {"type": state, "name": state.capitalize(), "message": message}}
        self._call("POST", f"/flow_runs/{run}/set_state", body)

    def await_end(self, run: str, seconds: float = 120) -> str:
        """Wait until a run has ended; how. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while (state := self.run(run)["state_type"]) not in FINAL:
            if time.monotonic() > deadline:
                raise TimeoutError(f"run {run} is still {state} after {seconds:.0f} s")
            time.sleep(0.5)
        return str(state)

    def serving(self) -> bool:
        """Whether a run that serves batches is at work, in a process that lives, or about to start."""
        for run in self.runs(*AT_WORK, "SCHEDULED", name=NIGHTLY):
            due = run["next_scheduled_start_time"]
            if run["state_type"] == "SCHEDULED" and due and datetime.fromisoformat(due) > datetime.now(UTC):
                continue
            if run["state_type"] != "RUNNING" or lives(run["infrastructure_pid"]):
                return True
        return False

    def _call(self, verb: str, path: str, body: Any = None) -> Any:
        deadline = time.monotonic() + _OUTAGE
        while True:
            try:
                answer = self._client.request(verb, path, json=body)
                if answer.status_code < 500:
                    answer.raise_for_status()
                    return answer.json() if answer.content else None
                answer.raise_for_status()
            except (httpx.TransportError, httpx.HTTPStatusError) as error:
                refused = isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500
                if refused or time.monotonic() > deadline:
                    raise
            time.sleep(0.5)


def lives(pid: str | int | None) -> bool:
    """Whether there is a process of that id that is not defunct."""
    try:
        number = int(str(pid).rpartition(":")[2])
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False
