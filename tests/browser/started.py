"""A stack as `make up` starts it, for a test: its addresses, and what a program would ask its servers."""

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from tmu.prefect_api import api_of
from tmu.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
_ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass
class Started:
    """The servers of the workspace `home`.

    Their temporary folder is beside it: those of this machine hold the leftovers of other programs.
    """

    home: Path
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def temporary(self) -> Path:
        """Where the servers, the runs and the search put and look for temporary files."""
        folder = self.home.parent / "temporary"
        folder.mkdir(exist_ok=True)
        return folder

    def up(self) -> None:
        """Start everything, on ports of its own."""
        self.timings["make up"] = timed(lambda: self._infra("up", "--first-port", str(random.randrange(21000, 31000))))

    def down(self) -> None:
        """Stop everything and remove databases and buckets."""
        self._infra("down", "--delete-data", "--yes")

    def _infra(self, verb: str, *options: str) -> None:
        call([sys.executable, "-m", "infra", verb, "--workspace", str(self.home), *options], 300, **self._own)

    @property
    def _own(self) -> dict[str, str]:
        """Variables that lead programs to this temporary folder, and not to the machine's."""
        return {"TMPDIR": str(self.temporary), "TMU_SEARCH_TEMPORARY": str(self.temporary)}

    def tmu(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> Any:
        """What a command prints, as JSON. codes: with which it may end."""
        program = [sys.executable, "-c", "from tmu.cli import main; main()"]
        return json.loads(call([*program, *arguments], 300, codes, TMU_HOME=str(self.home), **self._own))

    @cached_property
    def settings(self) -> Settings:
        """Addresses and keys."""
        return load_settings(self.home)

    @cached_property
    def prefect(self) -> httpx.Client:
        """Prefect's API."""
        api = api_of(self.settings)
        return httpx.Client(base_url=api.url, auth=api.auth, timeout=30)

    def login(self, server: str) -> tuple[str, str]:
        """Name and password of `prefect` or `mlflow`, as `make login` tells them."""
        told = call([sys.executable, "-m", "infra", "login", "--workspace", str(self.home), "--json"], 60)
        name, _, password = json.loads(told)[server].partition(":")
        return name, password

    def page(self, path: str) -> str:
        """The address of a page of Prefect."""
        return str(self.settings.prefect_api_url).removesuffix("/api") + path

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """POST to Prefect's API; the answer must be a success."""
        answer = self.prefect.post(path, json=body or {})
        assert answer.is_success, answer.text
        return answer.json()

    def deployments(self) -> dict[str, dict[str, Any]]:
        """By name."""
        return {each["name"]: each for each in self.ask("/deployments/filter")}

    def runs_of(self, request: str) -> list[dict[str, Any]]:
        """The runs of `delete` that name a request."""
        found = self.ask("/flow_runs/filter", {"deployments": {"name": {"any_": ["delete"]}}})
        return [run for run in found if run["parameters"].get("request") == request]

    def await_state(self, run: str, name: str, key: str | None = None, seconds: float = 240) -> float:
        """Wait for a state of a run, and the key of its question; another end fails at once. Returns the seconds."""
        began = time.monotonic()
        while True:
            state = self.prefect.get(f"/flow_runs/{run}").json()["state"]
            if (state["name"], state["state_details"]["pause_key"]) == (name, key):
                return time.monotonic() - began
            assert state["type"] not in _ENDED, (state["name"], state["message"])
            assert time.monotonic() - began < seconds, f"{state['name']} after {seconds} s, not {name}"
            time.sleep(1)

    def artifacts(self, run: str) -> list[dict[str, Any]]:
        """What a run shows on its page, oldest first; results of tasks are not shown."""
        body = {"artifacts": {"flow_run_id": {"any_": [run]}, "type": {"not_any_": ["result"]}}, "sort": "CREATED_DESC"}
        return [each for each in reversed(self.ask("/artifacts/filter", body)) if each["type"]]

    def api(self, token: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A call of the HTTP API that must succeed."""
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.request(method, f"{self.settings.api_url}{path}", headers=headers, json=body, timeout=30)
        assert answer.is_success, answer.text
        return answer.json()

    @staticmethod
    def fetched(token: str, address: str) -> bytes:
        """A file of the HTTP API."""
        answer = httpx.get(address, headers={"Authorization": f"Bearer {token}"}, timeout=30)
        assert answer.is_success, answer.text
        return answer.content


def call(command: list[str], seconds: float, codes: tuple[int, ...] = (0,), **more: str) -> str:
    """Run a command of ours in the repository's root; what it prints. Its failure is the test's."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TMU_"))}
    done = subprocess.run(
        command, cwd=ROOT, env=environment | more, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode in codes, done.stderr[-2000:] + done.stdout[-2000:]
    return done.stdout


def timed(work: Any) -> float:
    """Seconds that some work takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began
