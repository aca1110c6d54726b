"""`tmu data erase`: erase records from the data alone; no model is touched, and there is no limit to how much."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tmu.cli import output
from tmu.cli.confirm import Yes, confirm
from tmu.cli.place import data_of, untouched, workspace
from tmu.cli.planning import asked_of, plan_json, shown, sizes
from tmu.cli.selection import File, Records, Subjects, WithCopies, all_known, select, with_copies

if TYPE_CHECKING:
    from tmu.deletion.plan import Resolved
    from tmu.refs import DataRef
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

    Examples: [bold]tmu data erase --subject contributor-007 --dry-run[/] ·
    [bold]tmu data erase --file request.json --yes[/]
    """
    from tmu.deletion.journal import Journal
    from tmu.steps.plan import Planner

    place = workspace()
    with tempfile.TemporaryDirectory() as scratch:
        looking = untouched(place, Path(scratch)) if dry_run else place
        planner = Planner(looking, data_of(place, None) if dry_run else _revision(place))
        selection = select(place, planner.store.info, subjects, records, file)
        selection = with_copies(planner.store, selection, copies)
        all_known(planner.index, selection)
        plan = planner.resolved_of_any_size(asked_of(selection))
    if dry_run:
        output.emit(plan_json(plan), lambda: [*shown(plan), "Nothing was changed."])
        return
    Journal(place).refuse_a_second()
    confirm(f"Erase {sizes(plan, len(selection.subjects))} from the data?", yes, shown(plan))
    after = _erased(place, plan)
    value = {"plan": plan_json(plan), "data": after.model_dump(), "warning": _MODELS_KNOW}
    output.emit(value, lambda: [f"Erased {plan.n_records:,} records; the data are now {after.digest}.", _MODELS_KNOW])


def _revision(place: "Workspace") -> "DataRef":
    """The committed revision: after a crash halfway, the same command then resolves as it did before."""
    from tmu.refs import DataRef

    data_of(place, None)
    return DataRef(uri="data", digest=place.versions.revision(place.data))


def _erased(place: "Workspace", plan: "Resolved") -> "DataRef":
    from tmu.data.index import prune
    from tmu.steps.acknowledge import forget_set
    from tmu.steps.erase_data import erase_data

    after = erase_data(place, plan.data, forget_set(place, plan))
    prune(place.state("index"), [place.data])
    return after
