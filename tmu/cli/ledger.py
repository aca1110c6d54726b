"""`tmu ledger …`: check the audit log, export it, and see what is due."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmu.cli import output
from tmu.cli.ledgers import existing, looking
from tmu.cli.place import workspace
from tmu.cli.request_views import board_of
from tmu.errors import StorageError

if TYPE_CHECKING:
    from tmu.ledger.log import Head

app = typer.Typer(no_args_is_help=True, help="Check and export the audit log; the board of dates.")


@app.command()
def verify(
    head: Annotated[
        str | None, typer.Option("--head", metavar="SEQ:HASH", help="A head noted earlier: shows a cut end.")
    ] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="Check an export instead of the ledger.")
    ] = None,
    as_json: output.Json = False,
) -> None:
    """Check every entry of the audit log, and the states of all requests against it; exit code 4 where it is broken.

    The log is compared with every head that was noted outside (settings [bold]heads_s3[/], [bold]timestamp_url[/]) and
    at the last check here; then its own head is noted there. With --head it is compared with that one alone: copy one
    from a certificate or a webhook. So a log is found out that was cut off or written anew. A place that holds no head
    is as one that cannot be asked: exit code 7, and nothing is noted unless another place holds one.

    Examples: [bold]tmu ledger verify[/] · [bold]tmu ledger verify --file log.jsonl --head 12:0f…[/]
    """
    from tmu.ledger import proof
    from tmu.ledger.log import Head

    anchor = Head.parse(head) if head is not None else None
    if file is not None:
        found = proof.check(proof.read_export(Path(file)), *([anchor] if anchor else []))
        _sound({"entries": found.seq, "head": str(found)})
    else:
        _verify_ledger(anchor)


def _verify_ledger(anchor: "Head | None") -> None:
    from tmu.steps.log_heads import note_head, verify_log

    with existing() as ledger:
        verified = verify_log(workspace(), ledger, anchor)
        late = note_head(workspace(), ledger) if verified.notable else []
    _sound(verified.model_dump(mode="json"), [str(each) for each in verified.compared], late)
    if verified.silent:
        raise StorageError(
            "The log holds together, but not all heads noted outside could be compared: " + " ".join(verified.silent),
            "Run it again when they answer, or give a head that you kept elsewhere with --head.",
        )


def _sound(value: dict[str, Any], compared: list[str] | None = None, late: Sequence[str] = ()) -> None:
    facts = {"head": value["head"]}
    if compared is not None:
        facts["compared with"] = "; ".join(compared) or "nothing: no head was noted before"
    output.emit(value, lambda: [f"The log is sound: {value['entries']:,} entries.", output.facts(facts)])
    for name in late:
        output.note(f"The head did not reach {name}; it is tried again.")


@app.command()
def export(
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="One JSON object a line; replaced if it exists.")],
    as_json: output.Json = False,
) -> None:
    """Write the audit log to a file that can be checked without this workspace. It holds no keys of people.

    Example: [bold]tmu ledger export --out log.jsonl[/]
    """
    from tmu.ledger import proof

    with existing() as ledger:
        head = proof.export(ledger, Path(out))
    value = {"file": out, "entries": head.seq, "head": str(head)}
    output.emit(value, lambda: [f"{head.seq:,} entries written to {out}.", output.facts({"head": head})])


@app.command()
def board(
    seconds: Annotated[
        float | None,
        typer.Option("--seconds-per-request", min=0, metavar="N", help="Forecast: work for one request, measured."),
    ] = None,
    as_json: output.Json = False,
) -> None:
    """All open requests by date: days left, time used, warnings at 50, 80 and 100 %, state.

    Examples: [bold]tmu ledger board[/] · [bold]tmu ledger board --seconds-per-request 5400[/]
    """
    from tmu.ledger import views

    with looking() as ledger:
        rows = views.board(ledger, seconds) if ledger is not None else []
    output.emit(rows, lambda: [board_of(rows, forecast=seconds is not None)] if rows else ["No request is open."])


@app.command()
def reopen(
    batch: Annotated[str, typer.Argument(metavar="BATCH", help="Its id, as `tmu request show ID` names it.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why it will succeed now; names nobody.")],
    as_json: output.Json = False,
) -> None:
    """Let a batch that failed, or was tried three times, be tried again: `reconcile` or the next night goes on with it.

    Example: [bold]tmu ledger reopen 5f2c9d1a7b3e4c60 --reason "disk enlarged"[/]
    """
    from tmu.ledger import executions
    from tmu.ledger.actor import OPERATOR

    with existing() as ledger:
        executions.reopen(ledger, batch, reason, OPERATOR)
    output.emit({"batch": batch, "open": True}, lambda: [f"Batch {batch} is open again."])
