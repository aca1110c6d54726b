"""`tmu delete`: the whole of it, from the request to the audited model."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmu.cli import flow, output
from tmu.cli.outcome import completed, shown_outcome
from tmu.cli.output import Yes, confirm
from tmu.cli.plan import asked_of, plan_json, planned, shown_plan, sizes
from tmu.cli.selection import File, Records, Selection, Subjects, WithCopies, select, with_copies
from tmu.cli.workspace import open_workspace
from tmu.errors import ConfigError

if TYPE_CHECKING:
    from tmu.deletion.plan import Asked
    from tmu.steps.ledger.ask_ledger import OnRecord
    from tmu.workspace import Workspace

NOT_YET = 8
"""Exit code: the request is in the ledger, and nothing is erased yet."""


def delete(
    subjects: Subjects = [],  # noqa: B006 - Typer copies it
    records: Records = [],  # noqa: B006
    file: File = None,
    copies: WithCopies = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    yes: Yes = False,
    method: Annotated[str | None, typer.Option(metavar="NAME", help="Unlearn by this method, or `auto`.")] = None,
    no_audit: Annotated[bool, typer.Option("--no-audit", help="No audit, and nothing goes into service.")] = False,
    resume: Annotated[str | None, typer.Option(metavar="ID", help="Resume an interrupted request.")] = None,
    withdraw: Annotated[
        str | None, typer.Option(metavar="ID", help="Withdraw a request of which nothing was erased yet.")
    ] = None,
    as_json: output.Json = False,
) -> None:
    """Delete people or records from the data and from the model, and audit the result.

    The plan that is shown and confirmed is the one that is carried out. In a workspace with a ledger, the request
    is put on record there and needs its approval; the same command then carries it out.

    Examples: [bold]tmu delete --subject contributor-007 --dry-run[/] · [bold]tmu delete --file request.json --yes[/] ·
    [bold]tmu delete --resume 0123456789abcdef[/]
    """
    from tmu.ledger.place import has_ledger

    workspace, named = open_workspace(), bool(subjects or records or file is not None or dry_run or method or no_audit)
    if withdraw is not None or resume is not None:
        _refuse_both(withdraw, resume, named)
        _withdrawn(workspace, withdraw) if withdraw is not None else _resumed(workspace, resume)
        return
    selection = _selected(workspace, subjects, records, file, copies=copies)
    if dry_run:
        plan = planned(workspace, selection, method)
        output.emit(plan_json(plan), lambda: [*shown_plan(plan, workspace), "Nothing was changed."])
    elif has_ledger(workspace):
        _by_ledger(workspace, asked_of(selection), method, yes=yes, audit=not no_audit)
    else:
        _carried_out(workspace, _acknowledged(workspace, selection, method, yes=yes, audit=not no_audit))


def _refuse_both(withdraw: str | None, resume: str | None, named: bool) -> None:
    option, request = ("withdraw", withdraw) if withdraw is not None else ("resume", resume)
    if named or (withdraw is not None and resume is not None):
        raise ConfigError(
            f"--{option} {request} names a request already, which stays as it was acknowledged.",
            "Leave out the other options of the request.",
        )


def _withdrawn(workspace: "Workspace", request: str) -> None:
    from tmu.steps.resume import withdraw

    value = withdraw(workspace, request).model_dump(mode="json")
    output.emit(value, lambda: [f"Request {request} is withdrawn; nothing was erased."])


def _resumed(workspace: "Workspace", request: str) -> None:
    """Go on with a deletion; one that serves a batch of the ledger goes on with its batch."""
    from tmu.deletion.journal import Journal
    from tmu.steps.resume import resumed

    deletion = Journal(workspace).find(request)
    if not (deletion.asked.batch and deletion.open):
        _carried_out(workspace, resumed(workspace, request).id)
        return
    batches = flow.load("serve")(home=str(workspace.root))
    value = {"request": request, "batches": batches}
    output.emit(value, lambda: [sentence for batch in batches for sentence in batch.get("why", [])])


def _selected(
    workspace: "Workspace", subjects: list[str], records: list[str], file: str | None, *, copies: bool
) -> Selection:
    from tmu.data.info import read_info
    from tmu.data.store import RecordStore

    selection = select(workspace, read_info(workspace.data), subjects, records, file)
    return with_copies(RecordStore.open(workspace.data, contents=workspace.contents), selection, copies)


def _acknowledged(workspace: "Workspace", selection: Selection, method: str | None, *, yes: bool, audit: bool) -> str:
    """The id of the very same request that was interrupted, or of a new one: planned, shown, confirmed, written down.

    Up to the confirmation nothing is written.
    """
    from tmu.deletion.journal import Journal
    from tmu.steps.acknowledge import acknowledge
    from tmu.steps.resume import resumed

    asked = asked_of(selection)
    same = Journal(workspace).same_as(asked)
    if same is not None:
        output.note("This request was interrupted before: resuming it.")
        return resumed(workspace, same.id, method=method, audited=audit).id
    plan = planned(workspace, selection, method)
    confirm(f"Erase {sizes(plan, len(selection.subjects))} from data and model?", yes, shown_plan(plan, workspace))
    return acknowledge(workspace, plan, asked, audited=audit).id


def _carried_out(workspace: "Workspace", request: str) -> None:
    summary: dict[str, Any] = completed(workspace, flow.load("delete")(home=str(workspace.root), request=request))
    output.emit(summary, lambda: shown_outcome(summary, workspace.root))


def _by_ledger(workspace: "Workspace", asked: "Asked", method: str | None, *, yes: bool, audit: bool) -> None:
    """Put the request on record and plan it; where it is approved already, carry it out."""
    from tmu.ledger.states import RUNNING, State
    from tmu.steps.ledger.ask_ledger import ask_ledger, status_of

    if not audit:
        raise ConfigError("Deletions in a workspace with a ledger are always audited.", "Leave out --no-audit.")
    found = ask_ledger(workspace, asked, method)
    batches = []
    if found.state in (State.APPROVED, *RUNNING):
        confirm(f"Carry out request {found.request}, as it was approved?", yes, [_line(found)])
        batches = flow.load("serve")(home=str(workspace.root))
        found = found.model_copy(update={"state": status_of(workspace, found.request)})
    value = found.model_dump(mode="json") | {"batches": batches}
    output.emit(value, lambda: [_line(found), *(sentence for batch in batches for sentence in batch.get("why", []))])
    if found.state is not State.COMPLETED:
        raise typer.Exit(NOT_YET)


def _line(found: "OnRecord") -> str:
    """Where the request is and what it needs next."""
    from tmu.ledger.states import State

    needs = {
        State.UNVERIFIED: f"The requester's identity must be verified: `tmu request verify-identity {found.request}`.",
        State.HELD: "A legal hold covers it: `tmu request list --holds`.",
        State.AWAITING_APPROVAL: f"A second person must approve the plan {found.plan_hash}: by the API "
        f"(POST /requests/{found.request}/approval, docs/api.md). Then run the same command again, or wait for the "
        "flow `reconcile`.",
        State.APPROVED: "It is approved but was not carried out: another run is active, or its plan is no longer "
        "approved.",
        State.FAILED: f"Its batch failed: `tmu request show {found.request}` names it; `tmu ledger reopen` it.",
        State.COMPLETED: "Everything that it names is erased.",
    }
    ended = "Record a new request: `tmu request receive`."
    return f"Request {found.request} is {found.state.replace('_', ' ')}. {needs.get(found.state, ended)}"
