"""Flow runs that Prefect counts as at work though nothing works on them any more.

Where worker and flow process die together, nobody tells the server, and the run stays `Running` for good. The server's
automation finds most of them by their heartbeats (`infra/bootstrapping/zombies.py`); this finds those, too, that died
before their first heartbeat, before a process was started for them, or together with the server.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

import psutil
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, StateType
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed
from prefect.types._datetime import now

from infra.stack.spare import MODULE as SPARE

_AT_WORK = [StateType.RUNNING, StateType.PENDING]
_ENGINE, _RUN_ID = "prefect.engine", "PREFECT__FLOW_RUN_ID"
_PENDING = timedelta(seconds=300)
"""After which a run that a worker took, and started no process for, is lost."""
_SILENCE = timedelta(seconds=90)
_SILENCE_ELSEWHERE = timedelta(seconds=540)
"""Three heartbeats: of deployments every 30 s, of other runs Prefect's default of 180 s."""
_LATE_EVENTS = timedelta(seconds=10)
"""How long after a run's end the states of its tasks may still arrive."""
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class Zombie:
    """A run and how it was found out."""

    run: FlowRun
    why: str


@dataclass(frozen=True)
class Here:
    """The processes of runs on this machine. runs: named by their environments. spares: by id, when each was started.

    The environment of a spare is that of before it got its run (`infra/stack/spare.py`): the run names the process.
    """

    runs: frozenset[UUID]
    spares: dict[str, float]

    def works_on(self, run: FlowRun) -> bool:
        """Whether there is a process of the run; one that was started after it is at work is another with its id.

        By the time of its state: a run that was suspended goes on in another process, long after its first start.
        """
        began = self.spares.get(str(run.infrastructure_pid))
        pending = run.state_type is StateType.PENDING
        mine = began is not None and (pending or began <= run.state.timestamp.timestamp())
        return mine or run.id in self.runs


def find_zombies(client: SyncPrefectClient, *, one_machine: bool | None = None) -> list[Zombie]:
    """The runs that nothing works on, as seen from this machine; changes nothing.

    one_machine: all runs are on this machine, so that one without a process here is dead at once; else it must have
    been silent for three heartbeats. Default: whether the server listens on the loopback alone can be asked.
    """
    if one_machine is None:
        one_machine = urlsplit(str(client.api_url)).hostname in _LOOPBACK
    state = FlowRunFilterState(type=FlowRunFilterStateType(any_=_AT_WORK))
    runs = client.read_flow_runs(flow_run_filter=FlowRunFilter(state=state))
    here = processes_here()  # after the list: what ends in between is no longer `Running`, see `_still`
    found = {run.id: why for run in runs if (why := _why(client, run, here, one_machine))}
    dead = [Zombie(run, found[run.id]) for run in runs if run.id in found and _still(client, run)]
    return [*dead, *_children(client, runs, {each.run.id for each in dead})]


def crash(client: SyncPrefectClient, zombie: Zombie) -> bool:
    """Mark the run and its unfinished task runs as crashed; False where it has moved on in the meantime."""
    if not _still(client, zombie.run):
        return False
    client.set_flow_run_state(zombie.run.id, Crashed(message=f"No process works on this run: {zombie.why}."))
    wanted = FlowRunFilter(id=FlowRunFilterId(any_=[zombie.run.id]))
    unfinished = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=_AT_WORK)))
    for task in client.read_task_runs(flow_run_filter=wanted, task_run_filter=unfinished):
        client.set_task_run_state(task.id, Crashed(message="Its flow run crashed."), force=True)
    return True


def crash_orphans(client: SyncPrefectClient) -> int:
    """Mark task runs as crashed that outlived their flow run: a worker that reports a kill -9 leaves them; how many."""
    ended = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(TERMINAL_STATES))),
        end_time=FlowRunFilterEndTime(before_=now() - _LATE_EVENTS),
    )
    unfinished = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=_AT_WORK)))
    orphans = client.read_task_runs(flow_run_filter=ended, task_run_filter=unfinished)
    for task in orphans:
        client.set_task_run_state(
            task.id, Crashed(message="Its flow run ended; how this ended is not known."), force=True
        )
    return len(orphans)


def _why(client: SyncPrefectClient, run: FlowRun, here: Here, one_machine: bool) -> str | None:
    if here.works_on(run) or _is_child(run):
        return None
    age = now() - run.state.timestamp
    if run.state_type is StateType.PENDING and not run.infrastructure_pid:
        return "a worker took it, and started no process" if age > _PENDING else None
    if one_machine and run.infrastructure_pid:
        return f"its process {run.infrastructure_pid} is gone"
    silence = _SILENCE if run.deployment_id else _SILENCE_ELSEWHERE
    if age < silence or heard_of(client, run, silence):
        return None
    return f"it gave no sign of life for {silence.total_seconds():.0f} s"


def heard_of(client: SyncPrefectClient, run: FlowRun, within: timedelta) -> bool:
    """Whether a run gave a sign of life within that time."""
    beats = EventFilter(
        event=EventNameFilter(name=["prefect.flow-run.heartbeat"]),
        resource=EventResourceFilter(id=[f"prefect.flow-run.{run.id}"]),
    )
    found = client.read_events(beats, limit=1).events  # newest first
    return bool(found) and now() - found[0].occurred < within


def _is_child(run: FlowRun) -> bool:
    """Whether it runs within another run's process."""
    return run.parent_task_run_id is not None and run.deployment_id is None


def _children(client: SyncPrefectClient, runs: Iterable[FlowRun], dead: set[UUID]) -> Iterator[Zombie]:
    """Runs within runs that have ended or are dead, whatever the depth."""
    left = [run for run in runs if _is_child(run)]
    while left:
        lost = [run for run in left if _parent_ended(client, run, dead)]
        yield from (Zombie(run, "the run that it is part of has ended") for run in lost if _still(client, run))
        dead = dead | {run.id for run in lost}
        left = [run for run in left if run not in lost] if lost else []


def _parent_ended(client: SyncPrefectClient, run: FlowRun, dead: set[UUID]) -> bool:
    try:
        parent = client.read_task_run(run.parent_task_run_id).flow_run_id
        return parent is None or parent in dead or client.read_flow_run(parent).state.is_final()
    except ObjectNotFound:
        return True


def _still(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Whether the run is in the very state in which it was listed."""
    try:
        return client.read_flow_run(run.id).state.id == run.state.id
    except ObjectNotFound:
        return False


def processes_here() -> Here:
    """What this machine's processes are. A process may keep its environment only from other users."""
    runs, spares = set[UUID](), dict[str, float]()
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            command = " ".join(process.cmdline())
            if SPARE in command:
                spares[str(process.pid)] = process.create_time()
            elif _ENGINE in command:
                runs.add(UUID(process.environ()[_RUN_ID]))
        except (psutil.Error, KeyError, ValueError):
            continue
    return Here(frozenset(runs), spares)
