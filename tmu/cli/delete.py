"""`tmu delete`: the whole of it, from the request to the audited model."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmu.cli import flow, output
from tmu.cli.confirm import Yes, confirm
from tmu.cli.outcome import completed, shown_outcome
from tmu.cli.place import data_of, workspace
from tmu.cli.planning import chosen, planned, shown, shown_choice, sizes
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
    no_audit: Annotated[bool, typer.Option("--no-audit", help="Do not train golds: no proof, no promotion.")] = False,
    resume: Annotated[str | None, typer.Option(metavar="ID", help="Go on with a request that was interrupted.")] = None,
    withdraw: Annotated[
        str | None, typer.Option(metavar="ID", help="Take a request back of which nothing was erased yet.")
    ] = None,
    as_json: output.Json = False,
) -> None:
    """Delete people or records from the data and from the model, and audit the result.

    Examples: [bold]tmu delete --subject contributor-007 --dry-run[/] · [bold]tmu delete --file request.json --yes[/] ·
    [bold]tmu delete --resume 0123456789abcdef[/]
    """
    place = workspace()
    if withdraw is not None:
        from tmu.steps import journal

        _refuse_both("withdraw", withdraw, subjects, records, file, dry_run)
        entry = journal.withdraw(place, withdraw)
        output.emit(entry, lambda: [f"Request {withdraw} is withdrawn; nothing was erased."])
        return
    if resume is not None:
        _refuse_both("resume", resume, subjects, records, file, dry_run)
        summary = _run(place, Selection(), method, not no_audit, resume)
    else:
        selection = _selected(place, subjects, records, file, copies)
        if not dry_run and _waiting(place, selection):
            output.note("This very request was interrupted: going on with it.")
        elif not _agreed(place, selection, method, dry_run, yes):
            return
        summary = _run(place, selection, method, not no_audit, None)
    output.emit(summary, lambda: shown_outcome(summary))


def _refuse_both(
    option: str, request: str, subjects: list[str], records: list[str], file: str | None, dry_run: bool
) -> None:
    if subjects or records or file is not None or dry_run:
        raise ConfigError(
            f"--{option} {request} names a request already.", "Leave out the other options of the request."
        )


def _selected(place: "Workspace", subjects: list[str], records: list[str], file: str | None, copies: bool) -> Selection:
    from tmu.data.info import read_info
    from tmu.data.store import RecordStore

    selection = select(place, read_info(place.data), subjects, records, file)
    return with_copies(RecordStore.open(place.data, contents=place.contents), selection, copies)


def _waiting(place: "Workspace", selection: Selection) -> bool:
    """Whether this request was acknowledged before and not completed; its records may be half erased by now."""
    from tmu.steps.journal import find_same

    return find_same(place, selection.subjects, selection.records) is not None


def _agreed(place: "Workspace", selection: Selection, method: str | None, dry_run: bool, yes: bool) -> bool:
    """Plan, show, ask; False after a dry run. Up to here nothing is written."""
    from tmu.data.store import RecordStore

    data = data_of(place, None)
    store = RecordStore.open(place.data)
    plan = planned(place, data, store, selection)
    choice = chosen(place, plan, store, method)
    view = [*shown(plan), *shown_choice(choice)]
    if dry_run:
        output.emit(plan.as_json() | {"choice": choice.as_json()}, lambda: [*view, "Nothing was changed."])
        return False
    confirm(f"Erase {sizes(plan, len(selection.subjects))} from data and model?", yes, view)
    return True


def _run(
    place: "Workspace", selection: Selection, method: str | None, audit: bool, resume: str | None
) -> dict[str, Any]:
    run = flow.load("delete")
    summary = run(
        home=str(place.root),
        subjects=selection.subjects,
        records=selection.records,
        method=method,
        audit=audit,
        resume=resume,
    )
    return completed(place, summary)
