"""What the worker makes of a run: our command, variables and folder, or a refusal. Against Prefect's own resolution."""

import asyncio
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from prefect._internal import observers
from prefect.client.schemas.objects import Flow, FlowRun, WorkPool
from prefect.client.schemas.responses import DeploymentResponse
from prefect.runner import _starter_engine
from prefect.workers import base, process
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker

from infra.bootstrapping.plan import Plan
from infra.bootstrapping.pool import environment, template
from infra.stack.place import ROOT
from infra.stack.worker_main import LockedConfiguration, LockedWorker, main, without_hooks
from tmu.errors import ConfigError, RequestError
from tmu.workspace import Workspace

LOOP = "critical_service_loop"
OURS = "flows/verify.py:verify_flow"
EVIL = {
    "command": {"command": "touch /tmp/owned"},
    "env": {"env": {"PYTHONPATH": "/tmp/evil"}},
    "dotted env": {"env.PYTHONPATH": "/tmp/evil"},
    "working_dir": {"working_dir": "/tmp"},
    "image": {"image": "evil:latest"},
    "name": {"name": "x"},
}


def _resolved(
    kind: type[ProcessJobConfiguration], pool: dict[str, Any], run: dict[str, Any], **deployment: Any
) -> ProcessJobConfiguration:
    """What a worker with that configuration would start, as Prefect finds it out."""
    flow = Flow(name="verify")
    flow_run = FlowRun(flow_id=flow.id, name="r", deployment_id=uuid4(), **run)
    found = DeploymentResponse(name="verify", flow_id=flow.id, **{"entrypoint": OURS, **deployment})

    async def read(_: Any) -> Any:
        return found

    async def read_flow(_: Any) -> Flow:
        return flow

    work_pool = WorkPool(name="tmu", type="process", base_job_template=pool, default_queue_id=uuid4())
    client = SimpleNamespace(read_deployment=read, read_flow=read_flow)
    return asyncio.run(
        kind.resolve_for_flow_run(flow_run, client=client, work_pool=work_pool, worker_name="w", worker_id=uuid4())
    )


@pytest.fixture
def locked() -> dict[str, Any]:
    """The pool's template."""
    return template(Plan(workspace=ROOT, root=ROOT, gpus=1, zone="UTC"))


def test_a_run_of_ours_is_started_by_our_command_in_our_folder(locked: dict[str, Any]) -> None:
    found = _resolved(LockedConfiguration, locked, {})
    assert (found.command, found.working_dir) == (f"{sys.executable} -m prefect.engine", ROOT)
    assert found.env["PREFECT__FLOW_ENTRYPOINT"] == OURS
    assert found.env["TMU_ONLY_HOME"] == "1"
    assert environment().items() <= found.env.items()
    assert found.env["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize("variables", EVIL.values(), ids=EVIL)
def test_job_variables_are_refused_though_prefect_would_go_by_them(
    locked: dict[str, Any], variables: dict[str, Any]
) -> None:
    for parts in (({"job_variables": variables}, {}), ({}, {"job_variables": variables})):
        with pytest.raises(RequestError, match="job variables"):
            _resolved(LockedConfiguration, locked, parts[0], **parts[1])


def test_a_locked_template_alone_would_let_variables_of_the_environment_pass(locked: dict[str, Any]) -> None:
    """Why the worker has a lock of its own: Prefect merges them into a template that has none to be filled in."""
    found = _resolved(ProcessJobConfiguration, locked, {"job_variables": EVIL["env"]})
    assert found.env["PYTHONPATH"] == "/tmp/evil"


def test_a_template_that_somebody_changed_is_not_gone_by() -> None:
    changed = ProcessWorker.get_default_base_job_template()
    changed["job_configuration"] |= {"command": "touch /tmp/owned", "env": {"A": "b"}, "working_dir": "/tmp"}
    assert _resolved(ProcessJobConfiguration, changed, {}).command == "touch /tmp/owned"
    found = _resolved(LockedConfiguration, changed, {})
    assert (found.command, found.working_dir) == (f"{sys.executable} -m prefect.engine", ROOT)
    assert "A" not in found.env


@pytest.mark.parametrize(
    ("run", "deployment", "named"),
    [
        ({}, {"entrypoint": "/tmp/evil.py:flow"}, "entrypoint"),
        ({}, {"entrypoint": "flows/../tmp/evil.py:verify_flow"}, "entrypoint"),
        ({}, {"entrypoint": None}, "entrypoint"),
        ({}, {"pull_steps": [{"prefect.deployments.steps.run_shell_script": {"script": "id"}}]}, "pull steps"),
        ({"parameters": {"home": "/tmp/evil"}}, {}, "workspace"),
    ],
)
def test_what_is_not_in_prefect_yaml_is_refused(
    locked: dict[str, Any], run: dict[str, Any], deployment: dict[str, Any], named: str
) -> None:
    with pytest.raises(RequestError, match=named):
        _resolved(LockedConfiguration, locked, run, **deployment)


def test_parameters_changed_after_the_check_open_no_other_workspace(
    locked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run's process asks the server for the parameters again: a PATCH in between may have put a `home` there."""
    ours, other = Workspace.create(tmp_path / "ours").root, Workspace.create(tmp_path / "other").root
    monkeypatch.setenv("TMU_HOME", str(ours))  # as supervisord gives it to the worker
    for name, value in _resolved(LockedConfiguration, locked, {}).env.items():
        monkeypatch.setenv(name, value)
    assert Workspace.open("").root == ours
    with pytest.raises(ConfigError, match="alone"):
        Workspace.open(str(other))


def test_prefects_command_line_takes_this_worker() -> None:
    from prefect.utilities.dispatch import lookup_type
    from prefect.workers.base import BaseWorker

    assert lookup_type(BaseWorker, "process") is LockedWorker
    assert LockedWorker.job_configuration is LockedConfiguration


def test_no_flow_is_loaded_into_the_workers_own_process() -> None:
    flow = asyncio.run(without_hooks(None))
    assert not (flow.on_crashed_hooks or flow.on_cancellation_hooks)


def test_the_worker_that_main_starts_loads_no_flow_into_its_own_process(
    locked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `worker start` would: Prefect's own `run` of a worker is asked by what it finds the flow with the hooks."""

    class Asked(Exception):
        """Thrown where the process would be started."""

    class Context:
        control_channel = None

        async def __aenter__(self) -> "Context":
            return self

        async def __aexit__(self, *_: Any) -> None: ...

        def create_executor(self, *_: Any, resolve_flow: Any, **__: Any) -> None:
            raise Asked(resolve_flow)

    def command_line() -> None:
        configuration = _resolved(LockedConfiguration, locked, {})
        flow_run = FlowRun(flow_id=uuid4(), name="r")
        asyncio.run(LockedWorker(work_pool_name="tmu").run(flow_run, configuration))

    changed = [(process, "load_flow_from_flow_run"), (_starter_engine, "run_process")]
    for module, name in (*changed, *((each, LOOP) for each in (base, observers))):
        monkeypatch.setattr(module, name, getattr(module, name))  # main changes it: put it back
    monkeypatch.setattr(process, "FlowRunExecutorContext", Context)
    monkeypatch.setattr("prefect.cli.app", command_line)
    with pytest.raises(Asked) as asked:
        main()
    assert asked.value.args == (without_hooks,)
    assert _starter_engine.run_process.__module__ == "infra.stack.spare"
