"""`tmu data erase`: erase records from the data alone; no model is touched, and there is no limit to how much."""

from typing import TYPE_CHECKING, Annotated

import typer

from tmu.cli import output
from tmu.cli.output import Yes, confirm
from tmu.cli.plan import asked_of, plan_json, shown, sizes
from tmu.cli.selection import File, Records, Subjects, WithCopies, all_known, select, with_copies
from tmu.cli.workspace import data_of, open_workspace, untouched
from tmu.errors import RequestError

if TYPE_CHECKING:
    from tmu.deletion.plan import Asked, Resolved
    from tmu.refs import DataRef
    from tmu.steps.plan import Planner
    from tmu.workspace import Workspace

_MODELS_KNOW = "Models trained on these records still know them: train again, or use `tmu delete` instead."


def erase(
    subjects: Subjects = [],  # noqa: B006 - Typer copies it
    records: Records = [],  # noqa: B006
    file: File = None,
    copies: WithCopies = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    yes: Yes = False,
    as_json: output.Json = False,
) -> None:
    """Erase records from the data without touching any model. To make a model forget, too, use `tmu delete`.

    In a workspace with a ledger it is refused, unless it is too much for a deletion: who asked for an erasure and who
    approved it must be on record.

    Examples: [bold]tmu data erase --subject contributor-007 --dry-run[/] ·
    [bold]tmu data erase --file request.json --yes[/]
    """
    from tmu.deletion.journal import Journal
    from tmu.steps.plan import Planner

    workspace = open_workspace()
    with workspace.scratch() as scratch:
        looking = untouched(workspace, scratch) if dry_run else workspace
        planner = Planner(looking, data_of(workspace, None) if dry_run else _revision(workspace))
        selection = select(workspace, planner.store.info, subjects, records, file)
        selection = with_copies(planner.store, selection, copies)
        all_known(planner.index, selection)
        plan = planner.resolved_of_any_size(asked_of(selection))
        _refuse_past_ledger(workspace, planner, asked_of(selection))
    if dry_run:
        output.emit(plan_json(plan), lambda: [*shown(plan), "Nothing was changed."])
        return
    Journal(workspace).refuse_a_second()
    confirm(f"Erase {sizes(plan, len(selection.subjects))} from the data?", yes, shown(plan))
    after = _erased(workspace, plan)
    value = {"plan": plan_json(plan), "data": after.model_dump(), "warning": _MODELS_KNOW}
    output.emit(value, lambda: [f"Erased {plan.n_records:,} records; the data are now {after.digest}.", _MODELS_KNOW])


def _refuse_past_ledger(workspace: "Workspace", planner: "Planner", asked: "Asked") -> None:
    """Raise RequestError where the ledger's deletion can do it. What is too much for one has no other way than this."""
    from tmu.ledger.place import has_ledger

    if not has_ledger(workspace):
        return
    try:
        planner.resolved(asked)
    except RequestError:
        return
    raise RequestError(
        "This workspace has a ledger: what is erased past it has no record of who asked and who approved.",
        "Use `tmu delete` with the same selection, or `tmu request receive`.",
    )


def _revision(workspace: "Workspace") -> "DataRef":
    """The committed revision: after a crash halfway, the same command then resolves as it did before."""
    from tmu.refs import DataRef

    data_of(workspace, None)
    return DataRef(uri="data", digest=workspace.versions.revision(workspace.data))


def _erased(workspace: "Workspace", plan: "Resolved") -> "DataRef":
    from tmu.data.index import prune
    from tmu.steps.acknowledge import forget_set
    from tmu.steps.erase_data import erase_data

    after = erase_data(workspace, plan.data, forget_set(workspace, plan))
    prune(workspace.state("index"), [workspace.data])
    return after
