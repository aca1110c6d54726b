"""`tmu twin …`: fit the twin problem and look at it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmu.cli import output
from tmu.cli.overrides import Set, chosen
from tmu.cli.references import model_ref, references_ref, twin_ref
from tmu.cli.workspace import Data, Out, data_of, open_workspace, out_of

if TYPE_CHECKING:
    from tmu.refs import TwinRef
    from tmu.workspace import Workspace

app = typer.Typer(no_args_is_help=True, help="The twin problem of one model and data revision.")


@app.command()
def fit(
    original: Annotated[str, typer.Option(metavar="REF", help="The model whose twin it is.")],
    references: Annotated[
        str | None, typer.Option(metavar="REF", help="Fit the twin problems of these references (for tmu-soft).")
    ] = None,
    data: Data = None,
    out: Out = None,
    sets: Set = [],  # noqa: B006 - Typer copies it
    as_json: output.Json = False,
) -> None:
    """Fit the twin of a model: with references their twin problems, else the fine-tuned twin of the method tmu.

    Exit code 6 where the gate finds that it would mislead.

    Examples: [bold]tmu twin fit --original out/original --references out/references --out out/twin[/] ·
    [bold]tmu twin fit --original out/original --out out/twin[/]
    """
    workspace = open_workspace()
    params, target, source = chosen(workspace, sets), out_of(workspace, out), data_of(workspace, data)
    from tmu.steps.fit_reference_twin import fit_reference_twin
    from tmu.steps.fit_twin import fit_twin

    model = model_ref(workspace, original, "original")
    with output.progress("fit twin") as report:
        if references is not None:
            table = references_ref(workspace, references)
            ref = fit_reference_twin(workspace, source, model, table, params, progress=report, out=target)
        else:
            ref = fit_twin(workspace, source, model, params, progress=report, out=target)
    _tell(workspace, ref)


@app.command()
def show(
    twin: Annotated[str, typer.Argument(metavar="REF", help="A fitted twin.")],
    as_json: output.Json = False,
) -> None:
    """The gate's and the predictor's numbers.

    Example: [bold]tmu twin show out/twin[/]
    """
    workspace = open_workspace()
    _tell(workspace, twin_ref(workspace, twin))


def _tell(workspace: "Workspace", ref: "TwinRef") -> None:
    from tmu.steps.fit_twin import twin_report

    report = twin_report(workspace, ref)
    value = ref.model_dump() | report
    plain = {f"{part}: {name}": number for part in report for name, number in _plain(report[part]).items()}
    output.emit(value, lambda: [output.facts(ref.model_dump() | plain)])


def _plain(part: dict[str, Any]) -> dict[str, Any]:
    return {
        name: f"{number:.4g}" if isinstance(number, float) else number
        for name, number in part.items()
        if not isinstance(number, list | dict)
    }
