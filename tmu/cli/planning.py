"""A request resolved without writing anything: for dry runs, and for what is shown before anything is asked."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from tmu.cli import output
from tmu.cli.place import untouched
from tmu.cli.selection import Selection, all_known

if TYPE_CHECKING:
    from tmu.data.store import RecordStore
    from tmu.refs import DataRef
    from tmu.steps.plan_deletion import Plan
    from tmu.workspace import Workspace


def planned(place: "Workspace", data: "DataRef", store: "RecordStore", selection: Selection) -> "Plan":
    """The plan of a deletion. Raises RequestError for what is unknown, erased before, or too much to unlearn."""
    from tmu.steps.plan_deletion import plan_deletion

    all_known(store.index(), selection)
    with tempfile.TemporaryDirectory() as scratch:
        return plan_deletion(untouched(place, Path(scratch)), data, selection.subjects, selection.records)


def sizes(plan: "Plan", named_subjects: int) -> str:
    """How many records and people, in words."""
    subjects = f"{named_subjects} subject{'s' * (named_subjects != 1)}" if named_subjects else "single records"
    return f"{len(plan.records):,} record{'s' * (len(plan.records) != 1)} of {subjects}"


def shown(plan: "Plan") -> list[Any]:
    """The plan for people: counts, never a person."""
    rows = output.table("records", "number", numbers=["number"])
    for split, count in plan.by_split.items():
        rows.add_row(split, f"{count:,}")
    for name, count in plan.by_class.items():
        rows.add_row(Text(f"train, class {name}"), f"{count:,}", style="dim")
    touched = f"{sizes(plan, len(plan.subjects))}; shards to rewrite: {len(plan.shards)}."
    return [f"Plan {plan.id}: {touched}", rows, *(Text(warning, "yellow") for warning in plan.warnings)]
