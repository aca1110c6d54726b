"""One deletion on the started servers: asked for, started, frozen at a place, set free, brought to its end."""

import contextlib
import json
import secrets
import signal
import time
from collections.abc import Iterator

import psutil

from tests.chaos import facts
from tests.chaos.cells import WITHIN
from tests.chaos.facts import unsealed
from tests.chaos.field import Deletion, Field, state
from tests.chaos.prefect_side import NIGHTLY, RECONCILE, lives
from tmu.files import write_atomic
from tmu.ledger import approvals
from tmu.ledger.actor import Actor
from tmu.ledger.intake import Intake, receive
from tmu.ledger.place import opened
from tmu.ledger.states import ENDED, STUCK
from tmu.steps.ledger.batch import dataset_of
from tmu.steps.ledger.bind_plans import plan_request
from tmu.steps.seal_evidence import seal_evidence

_ASKS, _APPROVES = Actor("alice", "token"), Actor("bob", "token")
_GRACE = 3.0
"""Seconds after which a run whose process died is left to `reconcile`."""


class MissedError(Exception):
    """The deletion ended without coming to the place where it was to be frozen."""


def ask(ground: Field) -> Deletion:
    """An approved request of the next person who is still there."""
    workspace, request = ground.workspace, f"chaos-{secrets.token_hex(4)}"
    person = facts.candidates(workspace)[0]
    known = facts.before(workspace)
    with opened(workspace) as ledger:
        intake = Intake(id=request, dataset=dataset_of(workspace), subjects=(person,))
        receive(ledger, workspace.keys(simulated=True), intake, _ASKS)
        bound = plan_request(workspace, ledger, request, _ASKS, "retrain")
        approvals.approve(ledger, request, bound.hash, _APPROVES)
    return Deletion(request, person, known)


def start(ground: Field, stage: str | None = None, effect: int = 0) -> str:
    """A run of `nightly-batch`; with `stage`, one that freezes there. Returns its id."""
    for name in ("frozen.json", "effects.json"):
        (ground.folder / name).unlink(missing_ok=True)
    write_atomic(ground.folder / "order.json", json.dumps({"stage": stage, "effect": effect}).encode())
    return ground.prefect.start(NIGHTLY)


def await_frozen(ground: Field, deletion: Deletion, stage: str) -> None:
    """Wait until the flow process has stopped itself in the stage. Raises MissedError if it came past."""
    noted, deadline = ground.folder / "frozen.json", time.monotonic() + ground.seconds
    while not noted.exists():
        if _past(ground, deletion, stage) or time.monotonic() > deadline:
            raise MissedError(f"request is {state(ground, deletion)}")
        time.sleep(0.25)
    deletion.frozen = json.loads(noted.read_text())
    while deletion.flow.status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    deletion.frozen["ledger"] = state(ground, deletion)
    deletion.note("frozen", **deletion.frozen)
    if deletion.frozen["ledger"] != WITHIN.get(stage, stage):
        raise MissedError(f"frozen in {stage}, but the ledger says {deletion.frozen['ledger']}")


def _past(ground: Field, deletion: Deletion, stage: str) -> bool:
    """Whether the deletion can come to the stage no more: it ended, and what comes after its end ended, too."""
    now = state(ground, deletion)
    if now in ENDED and WITHIN.get(stage) == now:
        return not ground.prefect.serving()
    return now in (*ENDED, *STUCK)


def seal(ground: Field, deletion: Deletion) -> None:
    """What an operator does for a bundle whose sealing was cut short: `tmu evidence REQUEST`."""
    if unsealed(ground.workspace, deletion.request):
        deletion.note("sealed by hand", found=seal_evidence(ground.workspace, deletion.request).model_dump())


def thaw(deletion: Deletion) -> None:
    """Let the frozen process go on."""
    deletion.flow.send_signal(signal.SIGCONT)
    deletion.note("goes on")


def finish(ground: Field, deletion: Deletion, seconds: float | None = None, *, step_in: bool = True) -> str:
    """Bring the request to an end as the service would; its state.

    What an operator would see done within ten minutes is done at once: where no run is at work any more, `reconcile` is
    started. seconds: in place of the field's. step_in=False: wait only.
    """
    deadline, idle_since = time.monotonic() + (seconds or ground.seconds), None
    while (now := state(ground, deletion)) not in (*ENDED, *STUCK) and time.monotonic() < deadline:
        if ground.prefect.serving():
            idle_since = None
        elif idle_since is None:
            idle_since = time.monotonic()
        elif step_in and time.monotonic() - idle_since > _GRACE:
            reconcile(ground, deletion)
            idle_since = None
        time.sleep(0.3)
    deletion.note("ended", state=now)
    return now


def reconcile(ground: Field, deletion: Deletion) -> None:
    """A run of `reconcile`, to its end."""
    run = ground.prefect.start(RECONCILE)
    with contextlib.suppress(TimeoutError):
        deletion.note("reconcile", ended=ground.prefect.await_end(run, 90))


def settle(ground: Field, deletion: Deletion, seconds: float = 90) -> None:
    """Wait until nothing counts as running; `reconcile` looks once where something does after a while."""
    ground.servers.await_well()
    deadline, looked = time.monotonic() + seconds, False
    while left := facts.running(ground.workspace, ground.prefect):
        if time.monotonic() > deadline:
            deletion.note("still running", runs=left)
            return
        if not looked and time.monotonic() > deadline - seconds + 10:
            reconcile(ground, deletion)
            looked = True
        time.sleep(0.5)


@contextlib.contextmanager
def no_flow_left(deletion: Deletion) -> Iterator[None]:
    """Whatever happens, the frozen process does not outlive the block."""
    try:
        yield
    finally:
        pid = deletion.frozen.get("pid")
        if pid and lives(pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(pid).send_signal(signal.SIGCONT)
