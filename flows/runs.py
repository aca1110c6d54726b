"""Flow runs of this server: whether one is still at work, what it is called, and how it gets ready to be suspended."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound, Pause
from prefect.flow_engine import BaseFlowRunEngine
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL
from prefect.states import State
from prefect.types._datetime import now

from tmu.words import counted

BATCHES = "nightly-batch"
"""The flow that serves whatever is approved."""
_SILENT: set[UUID] = set()
"""Runs that are being suspended."""


def own_run() -> str | None:
    """The id of the run that calls; None outside of one."""
    return str(flow_run.id) if flow_run.id else None


def name_after_batch(batch: str, requests: int) -> None:
    """Name the run that calls after the first batch that it serves. A run that is named after a request stays so."""
    context = FlowRunContext.get()
    if context is None or context.flow.name != BATCHES or context.flow_run.name.startswith(f"{BATCHES} "):
        return
    context.flow_run.name = f"{BATCHES} {batch} ({counted(requests, 'request')})"
    with get_client(sync_client=True) as client:
        client.set_flow_run_name(context.flow_run.id, context.flow_run.name)


def state_of(run: str | None) -> State | None:
    """The state of a run; None where there is no such run on this server (any more), and where there is no server."""
    if run is None or PREFECT_API_URL.value() is None:
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


def about_to_serve() -> bool:
    """Whether a run that serves batches is at work, or is to begin now."""
    soon = FlowRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING, StateType.SCHEDULED])
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[BATCHES])),
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=soon)),
        )
    return any(run.state_type is not StateType.SCHEDULED or run.next_scheduled_start_time <= now() for run in runs)


@contextmanager
def suspending(seconds: float = 0.5) -> Iterator[None]:
    """Suspend the run that calls in this block. Its heartbeats reach the server before, and none leaves any more.

    One that arrives after the suspension would start the automation's clock again, and the run that waits for a person
    would be marked as crashed. Prefect's thread goes on sending until the process has ended the run, which takes long
    on a busy machine. A run that has its answer already leaves the block as ever, and its heartbeats go on.
    """
    from prefect.events.worker import EventsWorker

    time.sleep(seconds / 2)  # the first heartbeat comes from a thread that starts with the run
    run = UUID(str(flow_run.id))
    _hush(run)
    EventsWorker.instance().wait_until_empty()
    time.sleep(seconds / 2)
    try:
        yield
    except Pause:
        raise  # it stays silent to its end
    except BaseException:
        _SILENT.discard(run)
        raise
    _SILENT.discard(run)


def _hush(run: UUID) -> None:
    """Let no heartbeat of the run leave while it is in `_SILENT`."""
    _SILENT.add(run)
    beat = BaseFlowRunEngine._emit_flow_run_heartbeat
    if getattr(beat, "may_be_silent", False):
        return

    def may_beat(engine: BaseFlowRunEngine[Any, Any], *event: Any) -> None:
        if engine.flow_run is None or engine.flow_run.id not in _SILENT:
            beat(engine, *event)

    may_beat.may_be_silent = True  # type: ignore[attr-defined]
    BaseFlowRunEngine._emit_flow_run_heartbeat = may_beat  # type: ignore[method-assign]
