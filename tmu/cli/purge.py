"""`tmu purge`: what completed deletions left behind, and its end."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from tmu.cli import output
from tmu.cli.workspace import open_workspace
from tmu.errors import ConfigError
from tmu.words import counted

if TYPE_CHECKING:
    from tmu.purge.record import Record
    from tmu.workspace import Workspace


def purge(
    request: Annotated[str | None, typer.Argument(help="A completed request; else all that left something.")] = None,
    due: Annotated[bool, typer.Option("--due", help="Only where something stayed until a date that has come.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Destroy it. Without: only look.")] = False,
    as_json: output.Json = False,
) -> None:
    """List what completed deletions left behind in all stores; with --yes destroy it, and look again.

    A deletion does so at its end (`purge.act` in params.yaml). This is for those of an older version, those that
    were put off, such as for a legal hold, and models that a rule kept for a while (`purge.keep`).

    Examples: [bold]tmu purge[/] · [bold]tmu purge 0123456789abcdef --yes[/] · [bold]tmu purge --due --yes[/]
    """
    if request is not None and due:
        raise ConfigError("--due looks at all requests.", "Leave out the request, or --due.")
    workspace = open_workspace()
    records = [
        _carried_out(workspace, each) if yes else _foreseen(workspace, each) for each in _named(workspace, request, due)
    ]
    output.emit([_value(each) for each in records], lambda: _shown(records, yes=yes))


def _named(workspace: "Workspace", request: str | None, due: bool) -> list[str]:
    from tmu.steps.purge_ended import due as ran_out
    from tmu.steps.purge_ended import unpurged

    if request is not None:
        return [request]
    return ran_out(workspace) if due else [each.id for each in unpurged(workspace)]


def _foreseen(workspace: "Workspace", request: str) -> "Record":
    from tmu.steps.purge_ended import foresee_ended

    return foresee_ended(workspace, request)


def _carried_out(workspace: "Workspace", request: str) -> "Record":
    from tmu.steps.purge_ended import purge_ended

    with output.progress(f"purge {request}") as report:
        return purge_ended(workspace, request, report)


def _value(record: "Record") -> dict[str, Any]:
    """As JSON: no key of the scope, and no salt."""
    steps = [each.model_dump(mode="json") for each in record.steps]
    return record.summary().model_dump(mode="json") | {"steps": steps, "away": record.away}


def _shown(records: list["Record"], *, yes: bool) -> list[Any]:
    if not records:
        return ["There is nothing to purge."]
    return [part for record in records for part in _one(record, yes=yes)]


def _one(record: "Record", *, yes: bool) -> list[Any]:
    if yes:
        return [f"Request {record.request}. {record.summary().sentence}"]
    rows = output.table("store", "address", "holds", "action", "why, until")
    for step in record.steps:
        trace = step.trace
        why = ", ".join(part for part in (trace.why or step.reason, trace.until) if part)
        action = "done" if step.state == "done" else str(trace.action)
        rows.add_row(*(Text(cell) for cell in (trace.place, trace.address, str(trace.holds), action, why)))
    away = [Text(f"{place} could not be looked at: {why}", "red") for place, why in record.away.items()]
    end = f"Nothing was changed. To destroy it: tmu purge {record.request} --yes" if record.left else "Nothing is left."
    return [
        f"Request {record.request}: {counted(len(record.left), 'trace')} to destroy, {len(record.stays):,} to stay.",
        rows,
        *away,
        end,
    ]
