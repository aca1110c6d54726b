"""`tmu compare`: registered versions side by side."""

from typing import Annotated, Any

import typer

from tmu.cli import output, registered
from tmu.cli.workspace import open_workspace


def compare(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[VERSION]...", help="Numbers or @aliases; default: all versions.")
    ] = None,
    as_json: output.Json = False,
) -> None:
    """Registered versions of the dataset side by side: aliases, role, method, audit numbers.

    Examples: [bold]tmu compare[/] · [bold]tmu compare 1 @champion[/]
    """
    workspace = open_workspace()
    chosen = [registered.pick(workspace, name) for name in names] if names else registered.versions(workspace)
    if not chosen:
        output.emit([], lambda: ["No version is registered yet: `tmu train original --register`, or `tmu delete`."])
        return
    aliases = registered.aliases(workspace)
    numbers = registered.final_numbers(workspace, chosen)
    rows = [
        registered.row(version, aliases) | {"metrics": values} for version, values in zip(chosen, numbers, strict=True)
    ]
    hint = [f"In MLflow's pages: {workspace.registry.compare_url_hint(chosen)}", f"  {workspace.registry.ui_command()}"]
    output.emit(rows, lambda: [_table(rows), *hint])


def _table(rows: list[dict[str, Any]]) -> Any:
    """Facts and metrics down, versions across."""
    made = output.table("", *(f"version {row['version']}" for row in rows))
    for column in made.columns[1:]:
        column.justify = "right"
    made.add_row("aliases", *(", ".join(row["aliases"]) or "–" for row in rows))
    for name in ("role", "method"):
        made.add_row(name, *(row[name] for row in rows))
    made.add_row("data", *(row["data"][:8] for row in rows))
    made.add_section()
    for name, header, unit in _metrics(rows):
        made.add_row(header, *(_cell(row["metrics"].get(name), unit) for row in rows))
    return made


def _metrics(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """(name, header, unit): the audit's headline metrics that any version has, then the seconds."""
    from tmu.audit.metrics import all_metrics
    from tmu.audit.render import ARROWS, SECONDS_HEADER

    present = {name for row in rows for name in row["metrics"]}
    found = [
        (each.name, f"{each.title} ({each.unit}) {ARROWS[each.better]}", each.unit)
        for each in all_metrics().values()
        if each.headline and each.name in present
    ]
    return [*found, ("seconds_total", SECONDS_HEADER, "s")]


def _cell(value: float | None, unit: str) -> str:
    from tmu.audit.render import NONE, number

    return NONE if value is None else number(value, unit)
