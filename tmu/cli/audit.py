"""`tmu audit`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmu.cli import flow, output
from tmu.cli.outcome import completed, read_audit, shown_outcome
from tmu.cli.overrides import Set, chosen
from tmu.cli.references import forget_ref, identity, model_ref, references_ref, twin_ref
from tmu.cli.workspace import Data, Out, data_of, open_workspace, out_of
from tmu.errors import ConfigError

if TYPE_CHECKING:
    from tmu.refs import AuditRef
    from tmu.workspace import Workspace


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
    references: Annotated[
        str | None, typer.Option(metavar="REF", help="The references: audit by their table, without golds.")
    ] = None,
    data: Data = None,
    out: Out = None,
    sets: Set = [],  # noqa: B006 - Typer copies it
    as_json: output.Json = False,
) -> None:
    """Audit the unlearned model by recomputation, by the references' table, or beside golds: numbers, verdict, report.

    Examples: [bold]tmu audit --request 1f2e3d4c5b6a7988 --golds 5[/] ·
    [bold]tmu audit --references out/references --forget out/forget --original out/original
    --unlearned out/unlearned --out out/audit[/] ·
    [bold]tmu audit --forget out/forget --original out/original --gold out/gold --gold out/gold-2
    --control out/control --unlearned out/unlearned --twin out/twin --out out/audit[/]

    A model with a ridge head needs neither references nor golds: recomputation is its proof.
    """
    workspace = open_workspace()
    if request:
        _again(workspace, request, golds)
        return
    _require(forget=forget, original=original, unlearned=unlearned)
    made = identity(workspace, unlearned, "model")
    by_equality = (made.get("recipe") or {}).get("head") == "ridge"
    _refuse_two_ways(references, {"gold": gold, "control": control, "twin": twin}, by_equality=by_equality)
    params, target, source = chosen(workspace, sets), out_of(workspace, out), data_of(workspace, data)
    method = made.get("method", params.unlearn.method)
    audited = {
        "data": source,
        "forget": forget_ref(workspace, forget),
        "original": model_ref(workspace, original, "original"),
        "unlearned": model_ref(workspace, unlearned, "unlearned"),
        "params": params.model_copy(update={"unlearn": params.unlearn.model_copy(update={"method": method})}),
    }
    if by_equality:
        ref = _by_recomputation(workspace, audited, target)
    elif references:
        ref = _by_references(workspace, audited, references, target)
    else:
        ref = _with_golds(workspace, audited, gold, control, twin, target)
    folder: Path = workspace.artifacts.fetch(ref.uri, ref.digest)
    value = ref.model_dump() | read_audit(folder)
    output.emit(value, lambda: [output.facts(ref.model_dump()), *shown_outcome(value)])


def _again(workspace: "Workspace", request: str, golds: int) -> None:
    """Audit a deletion once more, beside golds."""
    summary = completed(workspace, flow.load("audit")(home=str(workspace.root), request=request, golds=golds))
    output.emit(summary, lambda: shown_outcome(summary, workspace.root))


def _by_recomputation(workspace: "Workspace", audited: dict[str, Any], target: str | None) -> "AuditRef":
    from tmu.steps.audit_by_recomputation import audit_by_recomputation
    from tmu.steps.cases import RidgeAuditCase
    from tmu.steps.ridge_statistics import find_statistics

    case = RidgeAuditCase(statistics=find_statistics(workspace, audited["unlearned"]), **audited)
    with output.progress("audit by recomputation") as report:
        return audit_by_recomputation(workspace, case, progress=report, out=target)


def _by_references(workspace: "Workspace", audited: dict[str, Any], references: str, target: str | None) -> "AuditRef":
    from tmu.steps.audit_by_references import audit_by_references
    from tmu.steps.cases import TableAuditCase

    case = TableAuditCase(references=references_ref(workspace, references), **audited)
    return audit_by_references(workspace, case, out=target)


def _with_golds(
    workspace: "Workspace",
    audited: dict[str, Any],
    golds: list[str],
    control: str | None,
    twin: str | None,
    target: str | None,
) -> "AuditRef":
    from tmu.steps.audit_models import audit_models
    from tmu.steps.cases import AuditCase

    case = AuditCase(
        golds=tuple(model_ref(workspace, each, "gold") for each in golds),
        control=model_ref(workspace, control, "unlearned"),
        twin=twin_ref(workspace, twin),
        **audited,
    )
    return audit_models(workspace, case, out=target)


def _refuse_two_ways(references: str | None, beside: dict[str, str | list[str] | None], *, by_equality: bool) -> None:
    """Raise ConfigError unless the options name one way to audit. beside: those of an audit beside golds."""
    if by_equality and references:
        raise ConfigError("The model has a ridge head: recomputation is its proof.", "Leave out --references.")
    if references or by_equality:
        _refuse(**beside)
    else:
        _require(**beside)


def _require(**given: str | list[str] | None) -> None:
    missing = [f"--{name}" for name, value in given.items() if not value]
    if missing:
        raise ConfigError(f"Without --request, {', '.join(missing)} must be given.", "See `tmu audit --help`.")


def _refuse(**given: str | list[str] | None) -> None:
    extra = [f"--{name}" for name, value in given.items() if value]
    if extra:
        raise ConfigError(
            f"{', '.join(extra)} and --references do not go together.", "Audit by the table, or beside golds."
        )
