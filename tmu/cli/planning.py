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
    from tmu.steps.choose_method import Choice
    from tmu.steps.plan_deletion import Plan
    from tmu.workspace import Workspace


def planned(place: "Workspace", data: "DataRef", store: "RecordStore", selection: Selection) -> "Plan":
    """The plan of a deletion. Raises RequestError for what is unknown, erased before, or too much to unlearn."""
    from tmu.steps.plan_deletion import plan_deletion

    all_known(store.index(), selection)
    with tempfile.TemporaryDirectory() as scratch:
        return plan_deletion(untouched(place, Path(scratch)), data, selection.subjects, selection.records)


def chosen(place: "Workspace", plan: "Plan", store: "RecordStore", method: str | None) -> "Choice":
    """The method for a plan with its forecast. Raises ConfigError for an unknown method or option."""
    from tmu.steps.choose_method import choose_method
    from tmu.steps.preflight import check_parameters

    check_parameters(store, place.params, method)
    with tempfile.TemporaryDirectory() as scratch:
        return choose_method(untouched(place, Path(scratch)), plan, method)


def shown_choice(choice: "Choice") -> list[Any]:
    """The method, why, and what the ways are forecast to cost."""
    lines: list[Any] = [Text(f"Method: {choice.method}. {choice.reason}", "bold")]
    if choice.forecast:
        rows = output.table("forecast", "seconds", "record visits", "", numbers=["seconds", "record visits"])
        for name, cost in choice.forecast.items():
            seconds = "" if cost["seconds"] is None else f"{cost['seconds']:,.1f}"
            rows.add_row(Text(name), seconds, f"{cost['visits']:,}", "measured" if cost["measured"] else "estimate")
        lines.append(rows)
    if choice.risk:
        audits = f"{choice.risk['failed']} of the last {choice.risk['audits']} audits failed"
        lines.append(f"Risk: {choice.risk['level']} ({audits if choice.risk['audits'] else 'not audited here yet'}).")
    return lines


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
    stays = [Text(f"Stays: {sentence}", "yellow") for sentence in plan.stays]
    return [f"Plan {plan.id}: {touched}", rows, *(Text(warning, "yellow") for warning in plan.warnings), *stays]
