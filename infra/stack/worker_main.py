"""A Prefect worker for the flows of `prefect.yaml` alone: `python -m infra.stack.worker_main worker start …`.

It is Prefect's own command line, with three things changed.

The worker of a process pool runs what the server tells it: a command, variables and a folder out of a run's or a
deployment's job variables or of the pool's template, any entrypoint, any pull steps. Whoever may talk to the server
could have it run anything. Here a run with any of these is refused, and command, variables and folder are ours.

Prefect 3.8 gives up its loops after some errors in a row. A worker hears of cancellations by a web socket and, once
that broke, by asking; the asking ends for good after three errors (some 20 s without a server), and no run of that
worker can be cancelled from then on, which only a line in its log tells. The loop that fetches runs ends after a few
minutes, and the worker with it. Here both go on asking.

A run's process takes seconds for its imports. Here one waits that has them behind it (`spare.py`).
"""

import functools
import os
import warnings
from typing import TYPE_CHECKING, Any

from prefect.settings import get_current_settings
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker

from infra.stack import spare
from infra.stack.place import ROOT
from tmu.errors import RequestError
from tmu.workspace import ONLY_HOME

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun
    from prefect.client.schemas.responses import DeploymentResponse

_ERRORS = 100_000  # in a row, at some seconds each: days
_HINT = "Start it from a deployment of prefect.yaml as it is: `python -m infra.bootstrap` fixes them."


def checked_entrypoint(run: "FlowRun", deployment: "DeploymentResponse | None") -> str:
    """The entrypoint of a run of ours. Raises RequestError for what would have the worker run something else."""
    from infra.bootstrapping import wanted

    entrypoint = deployment.entrypoint if deployment else None
    faults = {
        "has job variables": bool(run.job_variables),
        "has a deployment with job variables": bool(deployment and deployment.job_variables),
        "has a deployment with pull steps": bool(deployment and deployment.pull_steps),
        "names a workspace": bool(run.parameters.get("home")),
        "has an entrypoint that prefect.yaml does not name": entrypoint not in wanted.entrypoints(ROOT),
    }
    for fault, present in faults.items():
        if present:
            raise RequestError(f"This worker refuses the run: it {fault}.", _HINT)
    return str(entrypoint)


class LockedConfiguration(ProcessJobConfiguration):
    """How a run's process is started: by our command, in our folder, whatever job variables or template say."""

    def prepare_for_flow_run(
        self, flow_run: "FlowRun", deployment: "DeploymentResponse | None" = None, *others: Any, **more: Any
    ) -> None:
        """Put ours in the place of what the server said. Raises RequestError for a run that is none of ours."""
        entrypoint = checked_entrypoint(flow_run, deployment)
        # by these the process loads the entrypoint that was checked here, and opens no workspace but ours: the server
        # is asked for the parameters again, and those of a pending run can be changed
        self.env = {**_ours(), "PREFECT__FLOW_ENTRYPOINT": entrypoint}
        self.command, self.working_dir = spare.engine_command(), ROOT
        super().prepare_for_flow_run(flow_run, deployment, *others, **more)


with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Type 'LockedWorker'")  # it takes the place of Prefect's, on purpose

    class LockedWorker(ProcessWorker):
        """Prefect's process worker, with the configuration above, and a process in waiting."""

        job_configuration = LockedConfiguration

        async def __aenter__(self) -> "LockedWorker":
            """Ready for the first run."""
            await super().__aenter__()
            await SPARE.ready(of_any_run())
            return self

        async def __aexit__(self, *error: Any) -> None:
            """Leave nothing behind."""
            try:
                await super().__aexit__(*error)
            finally:
                await SPARE.close()


SPARE = spare.Spare()


def _ours() -> dict[str, str]:
    """The variables that every run gets from us."""
    from infra.bootstrapping.pool import environment

    return {**environment(), ONLY_HOME: "1"}


def of_any_run() -> dict[str, str]:
    """The environment of a run, without what tells one run from another; in the order in which Prefect makes it."""
    return {**os.environ, **_ours(), **get_current_settings().to_environment_variables(exclude_unset=True)}


async def without_hooks(*_: Any, **__: Any) -> "Flow[..., None]":
    """A flow that does nothing. At a crash or a cancellation Prefect would load the run's into the worker itself."""
    from prefect import Flow

    return Flow(lambda: None, name="none")


def keep_asking() -> None:
    """Let a worker's loops outlast an outage of the server."""
    from prefect._internal import observers
    from prefect.workers import base

    for module in (observers, base):
        module.critical_service_loop = functools.partial(module.critical_service_loop, consecutive=_ERRORS)


def main() -> None:
    """Prefect's own command line."""
    from prefect.cli import app
    from prefect.runner import _starter_engine
    from prefect.workers import process

    keep_asking()
    _starter_engine.run_process = spare.served_by(SPARE, of_any_run)
    process.load_flow_from_flow_run = without_hooks
    app()


if __name__ == "__main__":
    main()
