"""`tmu request …`: the life of a request in the ledger, up to its plan. Only keys (HMAC) are stored."""

import json
import secrets
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from tmu.cli import output
from tmu.cli.ledger import existing, looking, made
from tmu.cli.request_decisions import Id, cancel, deny, extend, hold, release, verify_identity
from tmu.cli.selection import File, Records, Subjects, WithCopies, asked_in, keys_of
from tmu.cli.workspace import open_workspace
from tmu.errors import ConfigError, RequestError

if TYPE_CHECKING:
    from tmu.data.info import StoreInfo
    from tmu.data.keys import Keys
    from tmu.ledger.intake import Intake
    from tmu.ledger.raw import RequestFile
    from tmu.ledger.states import State
    from tmu.workspace import Workspace

_COLUMNS = ("request", "state", "days_left", "due", "received")

app = typer.Typer(no_args_is_help=True, help="Receive, hold, deny and show requests in the ledger.")


@app.command()
def receive(
    subjects: Subjects = [],  # noqa: B006 - Typer copies it
    records: Records = [],  # noqa: B006
    file: File = None,
    copies: WithCopies = False,
    id_: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Its id, to repeat the call safely; default: a new one.")
    ] = None,
    urgent: Annotated[bool, typer.Option("--urgent", help="Serve it in the urgent lane.")] = False,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="The identity must still be verified; the clock is stopped.")
    ] = False,
    as_json: output.Json = False,
) -> None:
    """Put a request on record. Once this returns, it survives a crash; nothing is planned or erased yet.

    Examples: [bold]tmu request receive --subject contributor-007 --id case-2026-17[/] ·
    [bold]tmu request receive --file request.json --unverified[/]
    """
    from dataclasses import asdict

    from tmu.data.info import read_info
    from tmu.ledger.actor import OPERATOR
    from tmu.ledger.intake import receive as put_on_record

    workspace = open_workspace()
    info = read_info(workspace.data)
    body = asked_in(subjects, records, file)
    more = {"id": id_ or body.id or secrets.token_hex(8), "urgent": urgent or body.urgent}
    more |= {"identity_verified": body.identity_verified and not unverified, "with_copies": copies or body.with_copies}
    keys = keys_of(workspace, info)
    intake = _intake(workspace, info, keys, body.model_copy(update=more), "file" if file is not None else "cli")
    with made() as ledger:
        receipt = asdict(put_on_record(ledger, keys, intake, OPERATOR))
    value = receipt | {name: receipt[name].isoformat() for name in ("received_at", "due")}
    word = "received" if receipt["new"] else "already recorded"
    output.emit(value, lambda: [f"Request {intake.id} is {word}.", output.facts(value)])


@app.command("list")
def list_(
    state: Annotated[list[str], typer.Option("--state", metavar="STATE", help="Only in this state.")] = [],  # noqa: B006
    most: Annotated[int, typer.Option("--most", min=1, help="Maximum number of requests, newest first.")] = 100,
    holds: Annotated[bool, typer.Option("--holds", help="List the legal holds in force.")] = False,
    as_json: output.Json = False,
) -> None:
    """List requests, or the legal holds in force.

    Examples: [bold]tmu request list --state held[/] · [bold]tmu request list --holds[/]
    """
    from tmu.ledger import views

    if holds and state:
        raise ConfigError("--holds and --state cannot be combined.", "Leave one out.")
    states = _states(state)
    with looking() as ledger:
        value = [] if ledger is None else views.active_holds(ledger) if holds else views.listing(ledger, states, most)
    shown = _holds if holds else _table
    output.emit(value, lambda: shown(value) if value else ["There is none."])


@app.command()
def show(request: Id, as_json: output.Json = False) -> None:
    """Show a request: state, date, receipts, approvals, evidence, and what the log tells of it.

    Example: [bold]tmu request show case-2026-17[/]
    """
    from tmu.ledger import views

    with existing() as ledger:
        value = views.show(ledger, request)
    output.emit(value, lambda: _facts(value))


for _name, _verb in {
    "verify-identity": verify_identity,
    "hold": hold,
    "release": release,
    "deny": deny,
    "cancel": cancel,
    "extend": extend,
}.items():
    app.command(_name)(_verb)


def _intake(workspace: "Workspace", info: "StoreInfo", keys: "Keys", body: "RequestFile", source: str) -> "Intake":
    """The intake, with the first thing that is wrong with it as a RequestError."""
    from pydantic import ValidationError

    from tmu.ledger.raw import intake_of
    from tmu.steps.find_copies import CopyFinder

    try:
        return intake_of(body, info.dataset, keys, source, CopyFinder(workspace).find)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "request"
        raise RequestError(
            f"The request cannot be received: {where}: {first['msg']}.", "Fix it and call again; nothing was stored."
        ) from error


def _states(names: list[str]) -> "list[State] | None":
    from tmu.ledger.states import State

    unknown = sorted(set(names) - set(State))
    if unknown:
        raise ConfigError(f"There is no state `{unknown[0]}`.", f"Choose from {', '.join(State)}.")
    return [State(name) for name in names] or None


def _table(rows: list[dict[str, Any]]) -> list[Any]:
    """Requests as a table; times to the minute."""
    made = output.table(*(name.replace("_", " ") for name in _COLUMNS), numbers=["days left"])
    for row in rows:
        made.add_row(*(Text(_cell(name, row)) for name in _COLUMNS))
    return [made]


def _holds(rows: list[dict[str, Any]]) -> list[Any]:
    """Holds one by one, since their ids must be read whole to be released."""
    names = ("id", "scope", "dataset", "placed_at", "reason")
    return [output.facts({name.replace("_", " "): row[name] for name in names if row[name]}) for row in rows]


def _facts(value: dict[str, Any]) -> list[Any]:
    """One request: its facts, its receipts in numbers, and the log's entries on it."""
    plain = {name: part for name, part in value.items() if not isinstance(part, list)}
    plain |= {name: len(value[name]) for name in ("receipts", "approvals", "evidence")}
    rows = output.table("entry", "time", "actor", "event", "reason", numbers=["entry"])
    for entry in map(json.loads, value["log"]):
        cells = (entry["seq"], entry["at"][:16].replace("T", " "), entry["actor"], entry["event"], entry["reason"])
        rows.add_row(*(Text(str(cell or "")) for cell in cells))
    return [output.facts({name: "" if part is None else part for name, part in plain.items()}), rows]


def _cell(name: str, row: dict[str, Any]) -> str:
    part = row[name]
    if part is None:
        return ""
    if name == "days_left":
        return f"{part:.1f}" + (" (paused)" if row["paused"] else "")
    return str(part)[:16].replace("T", " ") if name in ("due", "received") else str(part)
