"""Start what serves the urgent lane, on the Prefect server of a workspace. Entry point of the group `tmu.urgent`."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tmu.workspace import Workspace

DEPLOYMENT = "nightly-batch/urgent-batch"
_AGAIN = 300
"""Seconds after which a run is started again for the very same requests, if they still wait: it may have failed."""


def start(workspace: "Workspace") -> bool:
    """Start a run of `urgent-batch` for what is approved; False where a run that will serve it is under way.

    Without a server there is nothing to start. Raises StorageError where it does not answer. The deployment takes one
    run at a time, and a run that finds nothing to serve ends at once: to start one too many does no harm.
    """
    from infra.prefect_ops.client import connected
    from tmu.prefect_api import api_of

    api = api_of(workspace.settings)
    if api is None:
        return False
    import httpx
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

    from tmu.errors import StorageError

    try:
        with connected(api, retries=0) as client:
            return _start(workspace, client)
    except httpx.HTTPError as error:
        raise StorageError("Prefect's server does not answer.", "Start it: `make up`.") from error
    except ObjectNotFound as error:
        raise StorageError(f"There is no deployment {DEPLOYMENT}.", "`python -m infra.bootstrap`") from error
    except PrefectHTTPStatusError as error:
        raise StorageError(f"Prefect's server answers {error.response.status_code}.", "`tmu doctor`") from error


def _start(workspace: "Workspace", client: object) -> bool:
    from flows.runs import about_to_serve, at_work
    from tmu.files import digest_of
    from tmu.steps.ledger.batch import approved, open_work

    waiting, batch = approved(workspace, "urgent"), open_work(workspace)
    if not waiting or about_to_serve() or (batch is not None and batch.ended is None and at_work(batch.run)):
        return False
    key = f"urgent-{digest_of(waiting)[:32]}-{time.time() // _AGAIN:.0f}"
    deployment = client.read_deployment_by_name(DEPLOYMENT)
    run = client.create_flow_run_from_deployment(deployment.id, parameters={"lane": "urgent"}, idempotency_key=key)
    return not run.state.is_final()  # the key gives back a run that there was
