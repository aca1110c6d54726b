"""`tmu ledger …`: check the audit log, export it, and see what is due."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from tmu.cli import output
from tmu.cli.workspace import open_workspace
from tmu.errors import StorageError

if TYPE_CHECKING:
    from tmu.ledger.log import Head
    from tmu.ledger.store import Ledger

app = typer.Typer(no_args_is_help=True, help="Verify and export the audit log; list due dates.")


@contextmanager
def made() -> Iterator["Ledger"]:
    """The ledger, made where there is none yet."""
    from tmu.ledger.place import open_ledger

    ledger = open_ledger(open_workspace())
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def looking() -> Iterator["Ledger | None"]:
    """The ledger if there is one: looking does not make it."""
    from tmu.ledger.place import has_ledger

    if has_ledger(open_workspace()):
        with made() as ledger:
            yield ledger
    else:
        yield None


@contextmanager
def existing() -> Iterator["Ledger"]:
    """The ledger, which must be there. Raises StorageError."""
    with looking() as ledger:
        if ledger is None:
            raise StorageError(
                "There is no ledger in this workspace.",
                "If it had one, restore .tmu/ledger.db; `tmu request receive` makes the first entry.",
            )
        yield ledger


@app.command()
def verify(
    head: Annotated[
        str | None, typer.Option("--head", metavar="SEQ:HASH", help="A head stored earlier; reveals a truncated log.")
    ] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="Verify an exported log instead of the ledger.")
    ] = None,
    as_json: output.Json = False,
) -> None:
    """Check every entry of the audit log, and the states of all requests against it; exit code 4 where it is broken.

    The log is compared with every head that was noted outside (settings [bold]heads_s3[/], [bold]timestamp_url[/]) and
    at the last check here; then its own head is noted there. With --head it is compared with that one alone: copy one
    from a certificate or a webhook. This detects a log that was truncated or rewritten. A location that holds no head
    counts as one that cannot be read: exit code 7, and nothing is stored unless another location holds one.

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
    from tmu.steps.ledger.log_heads import note_head, verify_log

    with existing() as ledger:
        verified = verify_log(open_workspace(), ledger, anchor)
        late = note_head(open_workspace(), ledger) if verified.notable else []
    _sound(verified.model_dump(mode="json"), [str(each) for each in verified.compared], late)
    if verified.silent:
        raise StorageError(
            "The log is sound, but not all heads stored outside could be compared: " + " ".join(verified.silent),
            "Run it again when they answer, or give a head that you stored elsewhere with --head.",
        )


def _sound(value: dict[str, Any], compared: list[str] | None = None, late: Sequence[str] = ()) -> None:
    facts = {"head": value["head"]}
    if compared is not None:
        facts["compared with"] = "; ".join(compared) or "nothing: no head was stored before"
    output.emit(value, lambda: [f"The log is sound: {value['entries']:,} entries.", output.facts(facts)])
    for name in late:
        output.note(f"The head did not reach {name}; it will be retried.")


@app.command()
def export(
    out: Annotated[
        str, typer.Option("--out", metavar="FILE", help="One JSON object per line; an existing file is replaced.")
    ],
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
        typer.Option("--seconds-per-request", min=0, metavar="N", help="Add a forecast: measured seconds per request."),
    ] = None,
    as_json: output.Json = False,
) -> None:
    """All open requests by date: days left, time used, warnings at 50, 80 and 100 %, state.

    Examples: [bold]tmu ledger board[/] · [bold]tmu ledger board --seconds-per-request 5400[/]
    """
    from tmu.ledger import views

    with looking() as ledger:
        rows = views.board(ledger, seconds) if ledger is not None else []
    output.emit(rows, lambda: [_board(rows, forecast=seconds is not None)] if rows else ["No request is open."])


@app.command()
def reopen(
    batch: Annotated[str, typer.Argument(metavar="BATCH", help="Its id, as `tmu request show ID` names it.")],
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why it will succeed now; must not name a person.")
    ],
    as_json: output.Json = False,
) -> None:
    """Allow another attempt at a batch that failed or used its three attempts.

    `reconcile` or the next nightly batch resumes it.

    Example: [bold]tmu ledger reopen 5f2c9d1a7b3e4c60 --reason "disk enlarged"[/]
    """
    from tmu.ledger import executions
    from tmu.ledger.actor import OPERATOR

    with existing() as ledger:
        executions.reopen(ledger, batch, reason, OPERATOR)
    output.emit({"batch": batch, "open": True}, lambda: [f"Batch {batch} is open again."])


def _board(rows: list[dict[str, Any]], *, forecast: bool) -> Any:
    """The board of dates: the most urgent first, what is late or will be in colour."""
    names = ["request", "state", "days left", "used", "due", "warning", *(["done by"] if forecast else [])]
    made = output.table(*names, numbers=["days left", "used"])
    for row in rows:
        cells = [row["request"], row["state"], f"{row['days_left']:.1f}", f"{row['percent']:.0f} %", row["due"][:10]]
        cells += [_warning(row)] + ([row.get("finishes", "")[:16].replace("T", " ")] if forecast else [])
        late = row["warning"] == 100 or row.get("misses")
        made.add_row(*map(Text, cells), style="bold red" if late else "yellow" if row["warning"] else "")
    return made


def _warning(row: dict[str, Any]) -> str:
    words = ["overdue" if row["warning"] == 100 else f"{row['warning']} %"] if row["warning"] else []
    words += ["paused"] if row["paused"] else []
    words += ["will miss its date"] if row.get("misses") and row["warning"] < 100 else []
    return ", ".join(words)
