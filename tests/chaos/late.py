"""Attempts that are taken for dead and wake up, and a run that a person cancels."""

import contextlib
import time

import sqlalchemy as sa
import yaml

from tests.chaos.drive import await_frozen, finish, reconcile, start, thaw
from tests.chaos.field import Deletion, Field, attempts_of, batch_of, state, until
from tests.chaos.prefect_side import FINAL, lives
from tmu.ledger.place import opened
from tmu.ledger.schema import audit_log

SECONDS = {"process": 15.0, "slot": 15.0, "run": 60.0}
"""After a cancellation: how long the process may go on, hold its slot, and the run be called `Cancelling`.

Prefect's runner gives a process group 30 s of grace, and calls the run `Cancelled` only then.
"""
_LONG = 5_000  # epochs


def late_beside(field: Field, deletion: Deletion) -> str | None:
    """A process that was taken for dead wakes up while its successor is at work."""
    run = start(field, "auditing", 0)
    await_frozen(field, deletion, "auditing")
    _succeed(field, deletion, run)
    thaw(deletion)
    finish(field, deletion)
    _ended_late(field, deletion)  # the ledger refuses it, or Prefect ends it first: the lease of its run is gone
    return "the late process did not end" if lives(deletion.frozen["pid"]) else None


def late_after(field: Field, deletion: Deletion) -> str | None:
    """A process that was taken for dead wakes up when its successor has finished, before its own cut-over."""
    run = start(field, "promoting", 0)
    await_frozen(field, deletion, "promoting")
    _succeed(field, deletion, run)
    finish(field, deletion)
    thaw(deletion)
    refused = _ended_late(field, deletion)
    return None if refused else "the late process was not refused, or did not end"


def cancel_training(field: Field, deletion: Deletion) -> str | None:
    """A person cancels during a long training: run and process end, the slot is free, and the batch is resumed."""
    path = field.servers.stack.home / "params.yaml"
    quick = path.read_text()
    run = start(field, "forgetting_data", 0)
    await_frozen(field, deletion, "forgetting_data")
    try:
        path.write_text(yaml.safe_dump(_longer(yaml.safe_load(quick))))
        thaw(deletion)
        until(lambda: state(field, deletion) == "unlearning" and field.prefect.slots("gpu") == 1, 240)
        time.sleep(3)
        seconds = _cancel(field, deletion, run)
    finally:
        path.write_text(quick)
    start(field)  # what a person cancelled waits for the next nightly batch
    finish(field, deletion)
    late = {name: value for name, value in seconds.items() if value > SECONDS[name]}
    return f"after the cancellation: {late} s" if late else None


def _succeed(field: Field, deletion: Deletion, run: str) -> None:
    """Prefect counts the frozen run as crashed, as it does without heartbeats; `reconcile` starts the next attempt."""
    field.prefect.set_state(run, "CRASHED", "No heartbeat.")
    deletion.note("taken for dead")
    reconcile(field, deletion)
    until(lambda: attempts_of(field, deletion) == 2, 240)
    deletion.note("the next attempt began")


def _ended_late(field: Field, deletion: Deletion) -> list[str]:
    """Wait for the end of the late process; what the ledger's log says was refused."""
    pid = deletion.frozen["pid"]
    with contextlib.suppress(TimeoutError):
        until(lambda: not lives(pid), 150)
    batch = batch_of(field, deletion)
    with opened(field.workspace) as ledger, ledger.read() as connection:
        wanted = sa.select(audit_log.c.event).where(audit_log.c.event.like("late%"), audit_log.c.body.contains(batch))
        refused = list(connection.scalars(wanted))
    deletion.note("late process", lives=lives(pid), refused=refused)
    return [] if lives(pid) else refused


def _cancel(field: Field, deletion: Deletion, run: str) -> dict[str, float]:
    """Ask Prefect to cancel; seconds until the process was gone, the run ended, the slot free."""
    began, pid = time.monotonic(), deletion.frozen["pid"]
    field.prefect.set_state(run, "CANCELLING", "A person cancelled.")
    seen: dict[str, float] = {}
    conditions = {
        "process": lambda: not lives(pid),
        "run": lambda: field.prefect.run(run)["state_type"] in FINAL,
        "slot": lambda: field.prefect.slots("gpu") == 0,
    }
    while len(seen) < len(conditions) and time.monotonic() - began < 120:
        for name, holds in conditions.items():
            if name not in seen and holds():
                seen[name] = round(time.monotonic() - began, 2)
        time.sleep(0.1)
    seconds = {name: seen.get(name, float("inf")) for name in conditions}
    deletion.note("cancelled", seconds=seconds, ended=field.prefect.run(run)["state_type"])
    return seconds


def _longer(params: dict) -> dict:
    return params | {"train": params["train"] | {"epochs": _LONG}}
