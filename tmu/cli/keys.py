"""`tmu keys …`: the secrets of the keys of real people: list them, rotate them."""

from typing import Any

import typer

from tmu.cli import output
from tmu.cli.output import Yes
from tmu.cli.workspace import open_workspace

app = typer.Typer(no_args_is_help=True, help="List and rotate the secrets of the keys (HMAC).")


@app.command("list")
def list_(as_json: output.Json = False) -> None:
    """The secrets by version: id, age, and what is keyed under each. The secrets themselves are not shown.

    Example: [bold]tmu keys list[/]
    """
    from tmu.steps.rotate_keys import key_uses

    found = key_uses(open_workspace())
    output.emit([each.model_dump(mode="json") for each in found], lambda: [_table(found)])


@app.command()
def rotate(yes: Yes = False, as_json: output.Json = False) -> None:
    """Add a secret under which the next import is keyed. Without --yes nothing is changed.

    Data that are there stay under their secret until they are imported again with --replace. Former secrets are kept:
    people who were erased under them are recognised by them alone. Back the file up.

    Examples: [bold]tmu keys rotate[/] · [bold]tmu keys rotate --yes[/]
    """
    from tmu.steps.rotate_keys import key_uses, rotate_keys

    workspace = open_workspace()
    version = workspace.key_ring.current.version + 1
    if yes:
        new = rotate_keys(workspace)
        value = {"version": new.version, "id": new.id, "rotated": True}
        output.emit(value, lambda: [f"Version {new.version} (id {new.id}) is current. {_NEXT}"])
        return
    found = key_uses(workspace)
    value = {"version": version, "id": None, "rotated": False}
    output.emit(value, lambda: [_table(found), f"`tmu keys rotate --yes` adds version {version}. {_NEXT}"])


_NEXT = "Import the data again with --replace to bring them under it, and back up the file with the secrets."


def _table(found: list[Any]) -> Any:
    rows = output.table("version", "id", "made", "days", "current", "data", "deletions", "requests", numbers=["days"])
    for each in found:
        marks = ["yes" if flag else "" for flag in (each.current, each.data)]
        numbers = (str(each.deletions), str(each.requests))
        rows.add_row(str(each.version), each.id, each.made[:10], str(each.days), *marks, *numbers)
    return rows
