"""`tmu unlearn`."""

from typing import TYPE_CHECKING, Annotated

import typer

from tmu.cli import output
from tmu.cli.overrides import Set, chosen
from tmu.cli.references import forget_ref, model_ref, references_ref, twin_ref
from tmu.cli.workspace import Data, Out, data_of, open_workspace, out_of
from tmu.errors import ConfigError

if TYPE_CHECKING:
    from tmu.config import Params


def unlearn(
    forget: Annotated[str, typer.Option(metavar="REF", help="The forget set.")],
    original: Annotated[str, typer.Option(metavar="REF", help="The original.")],
    twin: Annotated[str | None, typer.Option(metavar="REF", help="Its twin, for the methods that need one.")] = None,
    references: Annotated[
        str | None, typer.Option(metavar="REF", help="The references, for the methods that need them.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(metavar="NAME", help="Method to use instead of the one in params.yaml.")
    ] = None,
    control: Annotated[
        bool, typer.Option("--control", help="The audit's control: right fraction, random choice.")
    ] = False,
    data: Data = None,
    out: Out = None,
    sets: Set = [],  # noqa: B006 - Typer copies it
    as_json: output.Json = False,
) -> None:
    """Make the model forget.

    Examples: [bold]tmu unlearn --forget out/forget --original out/original --references out/references
    --twin out/twin --out out/unlearned[/] ·
    [bold]tmu show methods[/] lists the methods.
    """
    workspace = open_workspace()
    params = _chosen(chosen(workspace, sets), method, control)
    target, source = out_of(workspace, out), data_of(workspace, data)
    from tmu.steps.cases import UnlearnCase
    from tmu.steps.ridge_statistics import find_statistics, why_anew
    from tmu.steps.unlearn_model import unlearn_model
    from tmu.unlearn import needs_statistics

    base = model_ref(workspace, original, "original")
    case = UnlearnCase(
        data=source,
        forget=forget_ref(workspace, forget),
        original=base,
        twin=twin_ref(workspace, twin) if twin else None,
        references=references_ref(workspace, references) if references else None,
        statistics=find_statistics(workspace, base) if needs_statistics(params.unlearn.method) else None,
        params=params,
    )
    with output.progress("unlearn") as report:
        ref = unlearn_model(workspace, case, progress=report, out=target)
    if params.ridge_head and (why := why_anew(workspace, ref)):
        output.note(why)
    output.emit(ref.model_dump(), lambda: [output.facts(ref.model_dump())])


def _chosen(params: "Params", method: str | None, control: bool) -> "Params":
    """`params` with the method of the options; an unknown one is refused before anything is loaded."""
    from tmu.unlearn import get_method

    if control and method is not None:
        raise ConfigError("--control is a method of its own.", "Leave out --method.")
    if control:
        from tmu.steps.unlearn_model import CONTROL

        return params.model_copy(update={"unlearn": CONTROL})
    get_method(method or params.unlearn.method)
    return params if method is None else params.with_method(method)
