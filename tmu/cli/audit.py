"""`tmu audit`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmu.cli import flow, output
from tmu.cli.outcome import completed, read_audit, shown_outcome
from tmu.cli.overrides import Set, overridden
from tmu.cli.references import forget_ref, identity, model_ref, references_ref, twin_ref
from tmu.cli.workspace import Data, Out, data_of, open_workspace, out_of
from tmu.errors import ConfigError

if TYPE_CHECKING:
    from tmu.refs import AuditRef
    from tmu.workspace import Workspace


def audit(
    request: Annotated[str | None, typer.Option(metavar="ID", help="Id of a deletion to audit again.")] = None,
    golds: Annotated[int, typer.Option(min=2, help="With --request: how many retrained models to compare with.")] = 2,
    references: Annotated[
        str | None, typer.Option(metavar="REF", help="Audit against this table, without golds.")
    ] = None,
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
    """Audit the unlearned model against the references, or beside retrained models: numbers, verdict, report.

    With --request a completed request is audited again beside golds: the references hold none of its records any more.

    Examples: [bold]tmu audit --forget out/forget --original out/original --references out/references
    --unlearned out/unlearned --out out/audit[/] · [bold]tmu audit --request 1f2e3d4c5b6a7988 --golds 5[/] ·
    [bold]tmu audit --forget out/forget --original out/original --gold out/gold --gold out/gold-2
    --control out/control --unlearned out/unlearned --twin out/twin --out out/audit[/]
    """
    workspace = open_workspace()
    if request:
        summary = completed(workspace, flow.load("audit")(home=str(workspace.root), request=request, golds=golds))
        output.emit(summary, lambda: shown_outcome(summary))
        return
    needed = {"forget": forget, "original": original, "unlearned": unlearned}
    if references is None:
        needed |= {"gold": gold, "control": control, "twin": twin}
    _require(needed)
    params, target, source = overridden(workspace.params, sets), out_of(workspace, out), data_of(workspace, data)
    method = identity(workspace, unlearned, "model").get("method", params.unlearn.method)
    params = params.model_copy(update={"unlearn": params.unlearn.model_copy(update={"method": method})})
    learned: dict[str, Any] = {
        "data": source,
        "forget": forget_ref(workspace, forget),
        "original": model_ref(workspace, original, "original"),
        "unlearned": model_ref(workspace, unlearned, "unlearned"),
        "params": params,
    }
    if references is not None:
        ref = _by_references(workspace, learned, references, target)
    else:
        ref = _beside_golds(workspace, learned, {"gold": gold, "control": control, "twin": twin}, target)
    value = ref.model_dump() | read_audit(workspace.artifacts.fetch(ref.uri, ref.digest))
    output.emit(value, lambda: [output.facts(ref.model_dump()), *shown_outcome(value)])


def _by_references(workspace: "Workspace", learned: dict[str, Any], references: str, target: str | None) -> "AuditRef":
    from tmu.steps.audit_by_references import audit_by_references
    from tmu.steps.cases import TableAuditCase

    case = TableAuditCase(**learned, references=references_ref(workspace, references))
    return audit_by_references(workspace, case, out=target)


def _beside_golds(
    workspace: "Workspace", learned: dict[str, Any], given: dict[str, Any], target: str | None
) -> "AuditRef":
    from tmu.steps.audit_models import audit_models
    from tmu.steps.cases import AuditCase

    case = AuditCase(
        **learned,
        golds=tuple(model_ref(workspace, each, "gold") for each in given["gold"]),
        control=model_ref(workspace, given["control"], "unlearned"),
        twin=twin_ref(workspace, given["twin"]),
    )
    return audit_models(workspace, case, out=target)


def _require(given: dict[str, Any]) -> None:
    missing = [f"--{name}" for name, value in given.items() if not value]
    if missing:
        raise ConfigError(f"Without --request, {', '.join(missing)} must be given.", "See `tmu audit --help`.")
