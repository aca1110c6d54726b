"""`tmu delete`: the whole of it, from the request to the audited model."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmu.cli import delete_by_ledger, flow, output
from tmu.cli.confirm import Yes, confirm
from tmu.cli.outcome import completed, shown_outcome
from tmu.cli.place import workspace
from tmu.cli.planning import asked_of, plan_json, planned, shown_plan, sizes
from tmu.cli.selection import File, Records, Selection, Subjects, WithCopies, select, with_copies
from tmu.errors import ConfigError

if TYPE_CHECKING:
    from tmu.workspace import Workspace


def delete(
    subjects: Subjects = [],  # noqa: B006 - Typer copies it
    records: Records = [],  # noqa: B006
    file: File = None,
    copies: WithCopies = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    yes: Yes = False,
    method: Annotated[str | None, typer.Option(metavar="NAME", help="Unlearn by this method, or `auto`.")] = None,
    no_audit: Annotated[
        bool, typer.Option("--no-audit", help="Train no golds: no audit, and nothing goes into service.")
    ] = False,
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
    place, named = workspace(), bool(subjects or records or file is not None or dry_run or method or no_audit)
    if withdraw is not None or resume is not None:
        _refuse_both(withdraw, resume, named)
        _withdrawn(place, withdraw) if withdraw is not None else _carried_out(place, _resumed(place, resume))
        return
    selection = _selected(place, subjects, records, file, copies=copies)
    if dry_run:
        plan = planned(place, selection, method)
        output.emit(plan_json(plan), lambda: [*shown_plan(plan), "Nothing was changed."])
    elif delete_by_ledger.applies(place):
        delete_by_ledger.delete(place, asked_of(selection), method, yes=yes, audit=not no_audit)
    else:
        _carried_out(place, _acknowledged(place, selection, method, yes=yes, audit=not no_audit))


def _refuse_both(withdraw: str | None, resume: str | None, named: bool) -> None:
    option, request = ("withdraw", withdraw) if withdraw is not None else ("resume", resume)
    if named or (withdraw is not None and resume is not None):
        raise ConfigError(
            f"--{option} {request} names a request already, which stays as it was acknowledged.",
            "Leave out the other options of the request.",
        )


def _withdrawn(place: "Workspace", request: str) -> None:
    from tmu.steps.resume import withdraw

    value = withdraw(place, request).model_dump(mode="json")
    output.emit(value, lambda: [f"Request {request} is withdrawn; nothing was erased."])


def _resumed(place: "Workspace", request: str) -> str:
    from tmu.steps.resume import resumed

    return resumed(place, request).id


def _selected(
    place: "Workspace", subjects: list[str], records: list[str], file: str | None, *, copies: bool
) -> Selection:
    from tmu.data.info import read_info
    from tmu.data.store import RecordStore

    selection = select(place, read_info(place.data), subjects, records, file)
    return with_copies(RecordStore.open(place.data, contents=place.contents), selection, copies)


def _acknowledged(place: "Workspace", selection: Selection, method: str | None, *, yes: bool, audit: bool) -> str:
    """The id of the very same request that was interrupted, or of a new one: planned, shown, confirmed, written down.

    Up to the confirmation nothing is written.
    """
    from tmu.deletion.journal import Journal
    from tmu.steps.acknowledge import acknowledge
    from tmu.steps.resume import resumed

    asked = asked_of(selection)
    same = Journal(place).same_as(asked)
    if same is not None:
        output.note("This request was interrupted before: resuming it.")
        return resumed(place, same.id, method=method, audited=audit).id
    plan = planned(place, selection, method)
    confirm(f"Erase {sizes(plan, len(selection.subjects))} from data and model?", yes, shown_plan(plan))
    return acknowledge(place, plan, asked, audited=audit).id


def _carried_out(place: "Workspace", request: str) -> None:
    summary: dict[str, Any] = completed(place, flow.load("delete")(home=str(place.root), request=request))
    output.emit(summary, lambda: shown_outcome(summary))
