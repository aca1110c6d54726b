"""Slots of concurrency limits that are counted as taken though nobody holds them.

A slot comes with a lease that its holder renews; the server frees it when the lease runs out. Where the server loses
its leases (it keeps them in memory unless told otherwise) a slot stays taken for good, and with `gpu` at one no more
training starts. What is counted here are the holders that are still at work: by the events with which a run took and
gave back its slots, and for a deployment's own limit by its runs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import GlobalConcurrencyLimitResponse
from prefect.events.filters import EventFilter, EventNameFilter, EventRelatedFilter, EventResourceFilter
from prefect.events.schemas.events import ReceivedEvent
from prefect.types._datetime import now

_HOLDING = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
_TAKEN, _GIVEN = "prefect.concurrency-limit.acquired", "prefect.concurrency-limit.released"
_DEPLOYMENT = "deployment:"
QUIET = timedelta(seconds=120)
"""A lease (60 s, `tasks/slots.py`) has run out by then, and the server has looked for such (every 15 s)."""


@dataclass(frozen=True)
class Stale:
    """A limit with more slots taken than holders at work. held: slots of those that are."""

    limit: str
    taken: int
    held: int


def stale_slots(client: SyncPrefectClient, *, quiet: timedelta = QUIET) -> list[Stale]:
    """Slots that nobody holds, once nothing has changed for `quiet`; changes nothing.

    Sooner, the lease of a holder that died may still run out by itself; freed twice, a slot would be taken from the
    next holder.
    """
    found = []
    for limit in client.read_global_concurrency_limits(limit=200, offset=0):
        if limit.active_slots == 0 or limit.name.startswith("tag:") or not _is_quiet(client, limit, quiet):
            continue
        held = _runs_of(client, limit) if limit.name.startswith(_DEPLOYMENT) else _slots_held(client, limit)
        if held < limit.active_slots:
            found.append(Stale(limit.name, limit.active_slots, held))
    return found


def free(client: SyncPrefectClient, stale: Stale) -> int:
    """Count only the slots that are held; the number of those freed. Nothing where the count has changed meanwhile."""
    if client.read_global_concurrency_limit_by_name(stale.limit).active_slots != stale.taken:
        return 0
    client.update_global_concurrency_limit(stale.limit, GlobalConcurrencyLimitUpdate(active_slots=stale.held))
    return stale.taken - stale.held


def free_stale_slots(client: SyncPrefectClient) -> int:
    """Free what `stale_slots` finds; how many."""
    return sum(free(client, stale) for stale in stale_slots(client))


def _is_quiet(client: SyncPrefectClient, limit: GlobalConcurrencyLimitResponse, quiet: timedelta) -> bool:
    """Whether neither the count has changed nor a run that took a slot has ended since."""
    since = now() - quiet
    if limit.updated >= since:
        return False
    ended = FlowRunFilter(end_time=FlowRunFilterEndTime(after_=since))
    if limit.name.startswith(_DEPLOYMENT):
        return not client.read_flow_runs(deployment_filter=_deployment(limit), flow_run_filter=ended, limit=1)
    ended.id = FlowRunFilterId(any_=_last_takers(client, limit))
    return not client.read_flow_runs(flow_run_filter=ended, limit=1)


def _last_takers(client: SyncPrefectClient, limit: GlobalConcurrencyLimitResponse) -> list[UUID]:
    """The flow runs that last took slots of a limit."""
    taken = EventFilter(
        event=EventNameFilter(name=[_TAKEN]),
        resource=EventResourceFilter(id=[f"prefect.concurrency-limit.{limit.id}"]),
    )
    related = [part for event in client.read_events(taken, limit=50).events for part in event.related]
    return list({UUID(part.id.rpartition(".")[2]) for part in related if part.role == "flow-run"})


def _deployment(limit: GlobalConcurrencyLimitResponse) -> DeploymentFilter:
    return DeploymentFilter(id=DeploymentFilterId(any_=[UUID(limit.name.removeprefix(_DEPLOYMENT))]))


def _runs_of(client: SyncPrefectClient, limit: GlobalConcurrencyLimitResponse) -> int:
    """How many runs of the limit's deployment are at work."""
    return len(client.read_flow_runs(deployment_filter=_deployment(limit), flow_run_filter=_at_work()))


def _slots_held(client: SyncPrefectClient, limit: GlobalConcurrencyLimitResponse) -> int:
    """The slots that runs at work took and did not give back."""
    runs = client.read_flow_runs(flow_run_filter=_at_work())
    if not runs:
        return 0
    since = min(_began(run) for run in runs)
    taken: dict[str, int] = {}
    for event in _events(client, limit, runs, since):  # oldest last: a release is seen before what it releases
        if event.event == _GIVEN:
            taken.setdefault(str(event.follows), 0)
        else:
            taken.setdefault(str(event.id), int(event.resource["slots-acquired"]))
    return sum(taken.values())


def _began(run: FlowRun) -> datetime:
    return run.start_time or run.state.timestamp


def _events(
    client: SyncPrefectClient, limit: GlobalConcurrencyLimitResponse, runs: list[FlowRun], since: datetime
) -> Iterator[ReceivedEvent]:
    wanted = EventFilter(
        event=EventNameFilter(name=[_TAKEN, _GIVEN]),
        resource=EventResourceFilter(id=[f"prefect.concurrency-limit.{limit.id}"]),
        related=EventRelatedFilter(id=[f"prefect.flow-run.{run.id}" for run in runs]),
    )
    wanted.occurred.since = since
    page = client.read_events(wanted, limit=50)
    yield from page.events
    while page.next_page:
        page = client.read_events_page(page.next_page)
        yield from page.events


def _at_work() -> FlowRunFilter:
    return FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_HOLDING)))
