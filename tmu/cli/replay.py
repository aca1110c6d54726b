"""`tmu replay`."""

from typing import Annotated, Any

import typer

from tmu.cli import output
from tmu.cli.workspace import open_workspace

DIFFERS, GONE = 6, 9
"""Exit codes: made again and different; cannot be made again."""


def replay(
    request: Annotated[str, typer.Argument(metavar="ID", help="Id of a completed deletion.")],
    as_json: output.Json = False,
) -> None:
    """Make the unlearned model of a deletion again and compare it bit for bit.

    After the purge its inputs are gone: then it says which, checks the rest, and the exit code is 9. A model that comes
    out differently gives exit code 6.

    Examples: [bold]tmu replay 1f2e3d4c5b6a7988[/] · [bold]tmu replay 1f2e3d4c5b6a7988 --json[/]
    """
    from tmu.steps.replay import replay as replayed

    with output.progress("replay") as report:
        found = replayed(open_workspace(), request, progress=report)
    value = found.model_dump(mode="json") | {"sentences": list(found.sentences)}
    output.emit(value, lambda: [*found.sentences, _table(value["parts"])])
    if found.outcome in ("differs", "gone"):
        raise typer.Exit(DIFFERS if found.outcome == "differs" else GONE)


def _table(parts: list[dict[str, Any]]) -> Any:
    rows = output.table("part", "state", "found")
    for part in parts:
        rows.add_row(part["name"], part["state"], part["text"])
    return rows
