"""`tmu audit`."""

from pathlib import Path
from typing import Annotated

import typer

from tmu.cli import flow, output
from tmu.cli.outcome import completed, read_audit, shown_outcome
from tmu.cli.overrides import Set, overridden
from tmu.cli.references import forget_ref, identity, model_ref, twin_ref
from tmu.cli.workspace import Data, Out, data_of, open_workspace, out_of
from tmu.errors import ConfigError


def audit(
    request: Annotated[str | None, typer.Option(metavar="ID", help="Id of a deletion to audit again.")] = None,
    golds: Annotated[int, typer.Option(min=2, help="With --request: how many retrained models to compare with.")] = 2,
    forget: Annotated[str | None, typer.Option(metavar="REF", help="The forget set.")] = None,
    original: Annotated[str | None, typer.Option(metavar="REF", help="The original.")] = None,
    gold: Annotated[
        list[str], typer.Option(metavar="REF", help="At least two: run 0 first, then independent ones.")
    ] = [],  # noqa: B006 - Typer copies it
    control: Annotated[str | None, typer.Option(metavar="REF", help="The model of `tmu unlearn --control`.")] = None,
    unlearned: Annotated[str | None, typer.Option(metavar="REF", help="The unlearned model.")] = None,
    twin: Annotated[str | None, typer.Option(metavar="REF", help="Its twin.")] = None,
    data: Data = None,
    out: Out = None,
    sets: Set = [],  # noqa: B006 - Typer copies it
    as_json: output.Json = False,
) -> None:
    """Compare the unlearned model with retrained ones: numbers, verdict, figures, report.

    Examples: [bold]tmu audit --request 1f2e3d4c5b6a7988 --golds 5[/] ·
    [bold]tmu audit --forget out/forget --original out/original --gold out/gold --gold out/gold-2
    --control out/control --unlearned out/unlearned --twin out/twin --out out/audit[/]
    """
    workspace = open_workspace()
    if request:
        summary = completed(workspace, flow.load("audit")(home=str(workspace.root), request=request, golds=golds))
        output.emit(summary, lambda: shown_outcome(summary))
        return
    _require(forget=forget, original=original, gold=gold, control=control, unlearned=unlearned, twin=twin)
    params, target, source = overridden(workspace.params, sets), out_of(workspace, out), data_of(workspace, data)
    from tmu.steps.audit_models import audit_models
    from tmu.steps.cases import AuditCase

    method = identity(workspace, unlearned, "model").get("method", params.unlearn.method)
    params = params.model_copy(update={"unlearn": params.unlearn.model_copy(update={"method": method})})
    case = AuditCase(
        data=source,
        forget=forget_ref(workspace, forget),
        original=model_ref(workspace, original, "original"),
        golds=tuple(model_ref(workspace, each, "gold") for each in gold),
        control=model_ref(workspace, control, "unlearned"),
        unlearned=model_ref(workspace, unlearned, "unlearned"),
        twin=twin_ref(workspace, twin),
        params=params,
    )
    ref = audit_models(workspace, case, out=target)
    folder: Path = workspace.artifacts.fetch(ref.uri, ref.digest)
    value = ref.model_dump() | read_audit(folder)
    output.emit(value, lambda: [output.facts(ref.model_dump()), *shown_outcome(value)])


def _require(**given: str | list[str] | None) -> None:
    missing = [f"--{name}" for name, value in given.items() if not value]
    if missing:
        raise ConfigError(f"Without --request, {', '.join(missing)} must be given.", "See `tmu audit --help`.")
