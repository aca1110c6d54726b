"""Whether a flow run of this server is still at work."""

from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import State


def own_run() -> str | None:
    """The id of the run that calls; None outside of one."""
    return str(flow_run.id) if flow_run.id else None


def state_of(run: str | None) -> State | None:
    """The state of a run; None where there is no such run on this server (any more)."""
    if run is None:
        return None
    with get_client(sync_client=True) as client:
        try:
            return client.read_flow_run(UUID(run)).state
        except (ObjectNotFound, ValueError):
            return None


def at_work(run: str | None) -> bool:
    """Whether a run may still act: it has not ended, and it is not this one."""
    state = state_of(run)
    return run != own_run() and state is not None and not state.is_final()
