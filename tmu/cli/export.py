"""`tmu export …`: a registered model in forms that others read."""

from pathlib import Path
from typing import Annotated

import typer

from tmu.cli import output
from tmu.cli.workspace import open_workspace

app = typer.Typer(no_args_is_help=True, help="Registered models in forms that others read: safetensors, torch, ONNX.")


@app.command()
def model(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A number, or @champion; `tmu show versions`.")],
    target: Annotated[Path, typer.Argument(metavar="DIR", help="The new folder.")],
    to: Annotated[
        list[str] | None, typer.Option("--to", metavar="FORM", help="safetensors (default), torch, onnx; repeatable.")
    ] = None,
    as_json: output.Json = False,
) -> None:
    """Write a version into a folder, with a model card. It is kept on record, so that a later deletion names it.

    Examples: [bold]tmu export model @champion exported[/] · [bold]tmu export model 3 exported --to onnx --to torch[/]
    """
    from tmu.cli.registered import pick
    from tmu.steps.export_model import export_model

    workspace = open_workspace()
    export = export_model(workspace, pick(workspace, version), target, to or ["safetensors"])
    value = {"folder": str(target), **export.model_dump(mode="json")}
    shown = {
        "folder": value["folder"],
        "export": export.id,
        "version": export.version,
        "files": ", ".join(export.files),
    }
    output.emit(value, lambda: ["Exported.", output.facts(shown)])


@app.command("list")
def list_(as_json: output.Json = False) -> None:
    """List the exports: of which version, when, and whether their holder has destroyed them.

    Example: [bold]tmu export list[/]
    """
    from tmu.export.kept import exports_of

    found = list(exports_of(open_workspace()))
    table = output.table("export", "version", "forms", "at", "withdrawn", numbers=("version",))
    for each in found:
        table.add_row(each.id, str(each.version), ", ".join(each.forms), each.at[:10], each.withdrawn[:10])
    output.emit([each.model_dump(mode="json") for each in found], lambda: [table if found else "There are no exports."])


@app.command()
def withdraw(
    export: Annotated[str, typer.Argument(metavar="EXPORT", help="Its name; `tmu export list`.")],
    as_json: output.Json = False,
) -> None:
    """Note that the holder of an export has destroyed it: deletions do not name it any more.

    Example: [bold]tmu export withdraw 1f2e3d4c5b6a7988[/]
    """
    from tmu.steps.export_model import withdraw_export

    found = withdraw_export(open_workspace(), export)
    output.emit(found.model_dump(mode="json"), lambda: [f"Export {found.id} was withdrawn on {found.withdrawn[:10]}."])
