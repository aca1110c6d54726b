"""Decisions on requests in the ledger: identity, legal holds, denial, cancelling, extension. See `request.py`."""

from typing import Annotated

import typer

from tmu.cli import output
from tmu.cli.ledger import existing, made
from tmu.cli.selection import select
from tmu.cli.workspace import open_workspace
from tmu.errors import ConfigError

Id = Annotated[str, typer.Argument(metavar="REQUEST", help="The request's id.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, in one line; no names, no ids of people.")]


def verify_identity(
    request: Id,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="How it was checked; no names, no ids of people.")
    ] = None,
    as_json: output.Json = False,
) -> None:
    """Record that the requester is who they say; the clock runs on.

    Example: [bold]tmu request verify-identity case-2026-17 --reason "code sent by post"[/]
    """
    from tmu.ledger import decisions
    from tmu.ledger.actor import OPERATOR

    with existing() as ledger:
        state = decisions.verify_identity(ledger, request, OPERATOR, reason)
    _changed(request, state)


def hold(
    reason: Reason,
    subject: Annotated[str | None, typer.Option("--subject", metavar="ID", help="Hold one person's requests.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="Hold a dataset's requests.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Hold all requests.")] = False,
    as_json: output.Json = False,
) -> None:
    """Place a legal hold: requests are received and get their receipts, but nothing is touched. Their clock runs on.

    Examples: [bold]tmu request hold --subject contributor-007 --reason "court file 12-77"[/] ·
    [bold]tmu request hold --all --reason "incident under review"[/]
    """
    from tmu.data.info import read_info
    from tmu.ledger import holds
    from tmu.ledger.actor import OPERATOR
    from tmu.ledger.raw import refuse_raw

    if [subject is not None, dataset is not None, everything].count(True) != 1:
        raise ConfigError("The hold's scope is not clear.", "Give one of --subject, --dataset and --all.")
    workspace, key = open_workspace(), None
    if subject is not None:
        refuse_raw(reason, "--reason", [subject])
        (key,) = select(workspace, read_info(workspace.data), [subject], [], None).subjects
    scope = holds.Scope("subject" if key else "dataset" if dataset is not None else "all", dataset, key)
    with made() as ledger:
        placed = holds.hold(ledger, scope, reason, OPERATOR)
    value = {"hold": placed.id, "scope": scope.kind, "stopped": placed.stopped, "too_late": placed.too_late}
    output.emit(value, lambda: [f"Hold {placed.id} is in force; requests it stops now: {len(placed.stopped)}."])
    if placed.too_late:
        output.note(
            f"It comes too late for {len(placed.too_late)}, whose erasing has begun: "
            "do not purge old revisions and models."
        )


def release(
    hold_id: Annotated[str, typer.Argument(metavar="HOLD", help="`tmu request list --holds` lists them.")],
    reason: Reason,
    as_json: output.Json = False,
) -> None:
    """Release a legal hold. Requests under no other hold continue, and are planned again.

    Example: [bold]tmu request release 0123456789abcdef0123456789abcdef --reason "court file 12-77 closed"[/]
    """
    from tmu.ledger import holds
    from tmu.ledger.actor import OPERATOR

    with existing() as ledger:
        free = holds.release(ledger, hold_id, reason, OPERATOR)
    output.emit({"hold": hold_id, "released": free}, lambda: [f"Released; requests that continue: {len(free)}."])


def deny(request: Id, reason: Reason, as_json: output.Json = False) -> None:
    """Deny a request, with the reason for the requester. Not past the point of no return.

    Example: [bold]tmu request deny case-2026-17 --reason "GDPR 17(3)(e): legal claims"[/]
    """
    from tmu.ledger import decisions
    from tmu.ledger.actor import OPERATOR

    with existing() as ledger:
        decisions.deny(ledger, request, reason, OPERATOR)
    _changed(request, "denied")


def cancel(
    request: Id,
    reason: Reason,
    withdrawn: Annotated[bool, typer.Option("--withdrawn", help="The requester withdrew it.")] = False,
    as_json: output.Json = False,
) -> None:
    """Withdraw a request of which nothing was erased yet.

    Example: [bold]tmu request cancel case-2026-17 --withdrawn --reason "letter of 3 May"[/]
    """
    from tmu.ledger import decisions
    from tmu.ledger.actor import OPERATOR

    with existing() as ledger:
        decisions.cancel(ledger, request, reason, OPERATOR, withdrawn=withdrawn)
    _changed(request, "cancelled")


def extend(request: Id, reason: Reason, as_json: output.Json = False) -> None:
    """Give a request two more months: once, within the first month. The requester must be informed, with the reason.

    Example: [bold]tmu request extend case-2026-17 --reason "four models to retrain"[/]
    """
    from tmu.ledger import decisions
    from tmu.ledger.actor import OPERATOR

    with existing() as ledger:
        due = decisions.extend(ledger, request, reason, OPERATOR)
    output.emit({"request": request, "due": due.isoformat()}, lambda: [f"Request {request} is due on {due:%Y-%m-%d}."])


def _changed(request: str, state: str) -> None:
    output.emit({"request": request, "state": state}, lambda: [f"Request {request} is {state.replace('_', ' ')}."])
