"""`tmu references …`: networks on random halves of the data, whose table of outputs serves many deletions."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmu.cli import output
from tmu.cli.overrides import Set, chosen
from tmu.cli.references import references_ref
from tmu.cli.workspace import Data, Out, data_of, open_workspace, out_of
from tmu.errors import RequestError

if TYPE_CHECKING:
    from tmu.config import Params
    from tmu.refs import ReferencesRef
    from tmu.workspace import Workspace

app = typer.Typer(no_args_is_help=True, help="Networks on random halves of the data, for deletions without a gold.")


@app.command()
def fit(
    renew: Annotated[
        bool, typer.Option("--renew", help="Fit them anew, also where the present ones serve on.")
    ] = False,
    register: Annotated[bool, typer.Option("--register", help="Log their numbers in MLflow.")] = False,
    data: Data = None,
    out: Out = None,
    sets: Set = [],  # noqa: B006 - Typer copies it
    as_json: output.Json = False,
) -> None:
    """Train the references and keep the table of their outputs; resumes what was interrupted.

    Where a table of this data and these parameters is there and not due for renewal, nothing is trained.

    Examples: [bold]tmu references fit --register[/] · [bold]tmu references fit --set references.pairs=2[/]
    """
    workspace = open_workspace()
    params, target, source = chosen(workspace, sets), out_of(workspace, out), data_of(workspace, data)
    from tmu.steps.fit_references import fit_references
    from tmu.steps.log_references import log_references
    from tmu.steps.renewal import serving_references

    ref = None if renew or target else serving_references(workspace, source, params)
    if ref is None:
        with output.progress("fit references") as report:
            ref = fit_references(workspace, source, params, progress=report, out=target)
    if register:
        log_references(workspace, source, ref, params)
    _tell(workspace, ref, params)


@app.command()
def show(
    references: Annotated[
        str | None, typer.Argument(metavar="REF", help="Fitted references; default: those of the data as they are.")
    ] = None,
    data: Data = None,
    as_json: output.Json = False,
) -> None:
    """Pairs, records, what was erased since, when they must be renewed, what they cost.

    Examples: [bold]tmu references show[/] · [bold]tmu references show out/references --json[/]
    """
    workspace = open_workspace()
    from tmu.steps.read_references import find_references

    if references is not None:
        ref = references_ref(workspace, references)
    else:
        ref = find_references(workspace, data_of(workspace, data), workspace.params)
    if ref is None:
        raise RequestError("There are no references of these data.", "Fit them: `tmu references fit`.")
    _tell(workspace, ref, workspace.params)


def _tell(workspace: "Workspace", ref: "ReferencesRef", params: "Params") -> None:
    from tmu.steps.log_references import facts_of

    facts = facts_of(workspace, ref, params)
    output.emit(ref.model_dump() | facts, lambda: [output.facts(ref.model_dump() | _in_words(facts))])


def _in_words(facts: dict[str, Any]) -> dict[str, str]:
    """The facts for people, without those that another one says already."""
    records, cost = facts["records"], facts["retrainings"]
    share = "" if cost is None else f", {cost:.2f} retrainings"
    return {
        "networks": f"{facts['networks']} in {facts['pairs']} pairs"
        + (", with fresh heads" if facts["inner"] else "")
        + (
            ""
            if facts["accuracy_holdout_pct"] is None
            else f", {facts['accuracy_holdout_pct']:.1f} % right on the hold-out"
        ),
        "records": ", ".join(f"{number} {split}" for split, number in records.items()),
        "erased since": f"{facts['erased_records']} training records ({facts['erased_pct']:.1f} %)"
        f" in {facts['deletions']} deletions",
        "fitted at": facts["fitted_at"],
        "renewal": " ".join([facts["renewal"], *facts["reasons"]]),
        "cost": f"{facts['seconds']:.1f} s, {facts['seconds_networks']:.1f} s of training{share}",
    }
