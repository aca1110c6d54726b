"""Serve approved requests in one deletion: take them, carry it out, and say in the ledger how it ended.

An attempt that was killed leaves its batch open; the next run resumes it, under a higher fencing token.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flows.carry_out import carry_out
from flows.observer import BatchObserver
from flows.report import show_batch, show_batch_plan
from flows.runs import at_work, name_after_batch, own_run
from flows.sealed import sealed
from flows.tell import tell
from tasks.ledger import finish, plan_batch, stand_back, take_work
from tmu.errors import StorageError, TmuError
from tmu.ledger.batches import Lane
from tmu.ledger.errors import ConflictError, HeldError
from tmu.ledger.place import kept_open
from tmu.ledger.states import State
from tmu.steps.ledger.batch import Work, approved, open_work
from tmu.workspace import Workspace

_DVC = 3  # commands of DVC in a deletion: add, push, and where its stores are
_DONE = {"service": "Everything that was requested had been erased before.", "checked": []}


def serve(workspace: Workspace, lane: Lane) -> list[dict[str, Any]]:
    """The open batch, then one of this lane, then urgent ones, until nothing is left; an outcome each.

    While another run is at work on a batch, nothing is taken: one batch at a time for a dataset.
    """
    outcomes = []
    with kept_open():
        for each in (lane, "urgent"):
            while _free(workspace) and _waiting(workspace, each):
                try:
                    outcome = serve_one(workspace, each)
                except HeldError:
                    continue  # the batch stood back; the next one is without what is held
                if outcome is None:
                    break
                outcomes.append(outcome)
    return outcomes


def serve_one(workspace: Workspace, lane: Lane) -> dict[str, Any] | None:
    """One batch from wherever it stands to its end; None where nothing was left to do."""
    work = take_work(workspace, lane, own_run())
    if work is None:
        return None
    name_after_batch(work.batch, len(work.requests))
    tell(f"Batch {work.batch}: {len(work.requests)} requests (attempt with token {work.token})")
    workspace = workspace.reread()  # the parameters of this batch are those of now, whatever an earlier one used
    with _attempt(workspace, work), workspace.versions.made_ready(_DVC):
        deletion, observer = plan_batch(workspace, work), BatchObserver(workspace, work)
        if deletion is not None:
            show_batch_plan(work.batch, len(work.requests), deletion)
        outcome = _nothing_left(observer) if deletion is None else carry_out(workspace, deletion, observer)
        finish(workspace, work, "completed")
    if deletion is not None:
        outcome |= {"evidence": sealed(workspace, work.requests)}
    outcome = {"batch": work.batch, "requests": len(work.requests)} | outcome
    show_batch(outcome, workspace.settings.artifacts or ".tmu/artifacts")
    return outcome


@contextmanager
def _attempt(workspace: Workspace, work: Work) -> Iterator[None]:
    """A fault of requests or data ends the batch as failed, for a person to look at; after others it stays open.

    A legal hold that came before the erasing ends it, too, but as if it had never been taken.
    """
    try:
        yield
    except HeldError as hold:
        _stand_back(workspace, work, hold)
        raise
    except (ConflictError, StorageError):
        raise  # another attempt took over, or a store is away: the batch stays open
    except TmuError as error:
        finish(workspace, work, "failed", f"{type(error).__name__} in the flow run")
        raise


def _stand_back(workspace: Workspace, work: Work, hold: HeldError) -> None:
    held = stand_back(workspace, work)
    if not held:  # an immediate retry could repeat without end
        raise ConflictError(
            "A legal hold was placed and released while the batch began.", "The next run serves it."
        ) from hold
    tell(
        f"A legal hold covers {len(held)} of {len(work.requests)} requests: nothing was erased, "
        "and the batch was stopped."
    )


def _nothing_left(observer: BatchObserver) -> dict[str, Any]:
    for state in (State.PROMOTING, State.PURGING, State.VERIFYING):
        observer.reach(state)
    return _DONE


def _free(workspace: Workspace) -> bool:
    waiting = open_work(workspace)
    if waiting is not None and at_work(waiting.run) and waiting.ended is None:
        tell(f"Batch {waiting.batch} is being served by another run; this run skips it.")
        return False
    return True


def _waiting(workspace: Workspace, lane: Lane) -> bool:
    return open_work(workspace) is not None or bool(approved(workspace, lane))
