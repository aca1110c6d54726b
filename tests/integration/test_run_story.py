"""A run on Prefect's page: its name carries the request or the batch, and its log tells what happened in sentences."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort

from tests.integration.conftest import make_workspace
from tests.integration.test_batch_flow import ask
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow
PERSON = "contributor-003"
CHILD = """
import sys
from flows.runtime import prepare
prepare(sys.argv[1])
from flows.delete_request import delete_request_flow
from flows.nightly_batch import nightly_batch_flow
from flows.train_original import train_original_flow
home, key = sys.argv[1:]
nightly_batch_flow(home=home)
try:
    delete_request_flow(request="case-17", requested_by="support-1", people=[key], method="retrain", home=home)
except BaseException:
    pass  # without a deployment it cannot be suspended
"""


@pytest.fixture(scope="module")
def story(
    prefect_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workspace, dict[str, list[dict[str, Any]]]]:
    """The logs, by the name of the run, of a nightly batch and of a form; the runs are another process's."""
    small = {"train": {"epochs": 1}, "model": {"options": {"width": 4}}, "audit": {"probes": False}}
    workspace = make_workspace(tmp_path_factory.mktemp("story") / "w", **small)
    ask(workspace, "one", PERSON)
    ask(workspace, "two", "contributor-004")
    environment = os.environ | prefect_server | {"PREFECT_LOGGING_LEVEL": "INFO", "PREFECT_LOGGING_TO_API_ENABLED": "1"}
    key = workspace.keys(simulated=True).subject("contributor-007")
    before = {run.id for run in _runs()}  # the server is shared: other tests have served batches there, too
    command = [sys.executable, "-c", CHILD, str(workspace.root), key]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return workspace, {run.name: _log(run.id) for run in _runs() if run.id not in before}


def _runs() -> list[FlowRun]:
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(limit=200, sort=FlowRunSort.EXPECTED_START_TIME_DESC)


def _log(run: UUID) -> list[dict[str, Any]]:
    wanted = {"flow_run_id": {"any_": [str(run)]}}
    with get_client(sync_client=True) as client:
        asked = {"logs": wanted, "limit": 200, "sort": "TIMESTAMP_ASC"}
        return client.request("POST", "/logs/filter", json=asked).json()


def _batch(story: dict[str, list[dict[str, Any]]]) -> str:
    (name,) = [each for each in story if re.fullmatch(r"nightly-batch [0-9a-f]{16} \(2 requests\)", each)]
    return name


def test_a_run_is_named_after_its_request_or_its_batch(story: tuple[Workspace, dict]) -> None:
    assert "delete case-17" in story[1]
    assert _batch(story[1])


def test_the_log_of_a_batch_tells_its_story_in_order(story: tuple[Workspace, dict]) -> None:
    said = "\n".join(line["message"] for line in story[1][_batch(story[1])])
    told = [
        r"Batch \w+: 2 requests",
        r"Batch \w+ \(2 requests\): \d+ records to erase",
        r"Likely method: `tmu-soft`",
        r"Forecast: ",
        r"Training the original",
        r"train original: done in ",
        r"Fitting the references: 4 networks",
        r"Fitting the twin problems of the references",
        r"Erasing the records from the data",
        r"Unlearning with tmu-soft",
        r"Training 2 golds",
        r"Audit: tmu-soft: ",
        r"The retrained gold goes into service",
        r"Served: 1 batch\.",
    ]
    places = [re.search(pattern, said) for pattern in told]
    assert all(places), said
    assert [place.start() for place in places] == sorted(place.start() for place in places)


def test_the_log_of_a_form_says_what_it_waits_for_and_why_it_stopped(story: tuple[Workspace, dict]) -> None:
    lines = story[1]["delete case-17"]
    said = [line["message"] for line in lines]
    assert any(line.startswith("Request case-17: ") and "records to erase" in line for line in said)
    assert "Request case-17 waits for its approval: press Resume." in said
    failures = [line for line in lines if line["message"].startswith("Request case-17 stopped by an internal error: ")]
    assert [line["level"] for line in failures] == [40]  # ERROR


def test_no_raw_id_and_no_key_is_in_the_logs(story: tuple[Workspace, dict]) -> None:
    workspace, logs = story
    text = json.dumps(logs)
    assert "contributor-0" not in text
    assert workspace.keys(simulated=True).subject(PERSON) not in text
    assert str(Path("case-17")) in text  # the search can see
