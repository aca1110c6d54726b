"""A request resolved without writing anything: for dry runs, and for what is shown before anything is asked."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from tmu.cli import output
from tmu.cli.place import untouched
from tmu.cli.selection import Selection, all_known

if TYPE_CHECKING:
    from tmu.deletion.plan import Asked, Plan, Resolved
    from tmu.refs import DataRef
    from tmu.workspace import Workspace


def planned(place: "Workspace", selection: Selection, method: str | None, data: "DataRef | None" = None) -> "Plan":
    """The plan of a deletion; nothing is written.

    Raises RequestError for what is unknown, erased before, or too much to unlearn, ConfigError for an unknown method or
    option. data: another revision than the workspace's own.
    """
    from tmu.steps.plan import Planner

    with tempfile.TemporaryDirectory() as scratch:
        planner = Planner(untouched(place, Path(scratch)), data)
        all_known(planner.index, selection)
        return planner.plan(asked_of(selection), method)


def asked_of(selection: Selection) -> "Asked":
    """What a selection names, in the order in which it is stored."""
    from tmu.deletion.plan import Asked

    return Asked.of(selection.subjects, selection.records)


def plan_json(plan: "Resolved") -> dict[str, Any]:
    """A plan as the verbs print it: counts, the keys that were named, and the hash where there is one to confirm."""
    value = plan.model_dump(mode="json")
    return value | ({"hash": plan.hash} if hasattr(plan, "hash") else {})


def shown_plan(plan: "Plan") -> list[Any]:
    """The plan for people: what goes, the method, why, and what the ways are forecast to cost."""
    choice = plan.choice
    lines: list[Any] = [*shown(plan), Text(f"Method: {choice.method}. {choice.reason}", "bold")]
    if choice.forecast:
        rows = output.table("forecast", "seconds", "record visits", "", numbers=["seconds", "record visits"])
        for name, cost in choice.forecast.items():
            seconds = "" if cost.seconds is None else f"{cost.seconds:,.1f}"
            rows.add_row(Text(name), seconds, f"{cost.visits:,}", "measured" if cost.measured else "estimate")
        audits = f"{choice.risk.failed} of the last {choice.risk.audits} audits failed"
        lines.append(rows)
        lines.append(f"Risk: {choice.risk.level} ({audits if choice.risk.audits else 'not audited here yet'}).")
    return lines


def sizes(plan: "Resolved", named_subjects: int) -> str:
    """How many records and people, in words."""
    subjects = f"{named_subjects} subject{'s' * (named_subjects != 1)}" if named_subjects else "single records"
    return f"{plan.n_records:,} record{'s' * (plan.n_records != 1)} of {subjects}"


def shown(plan: "Resolved") -> list[Any]:
    """The plan for people: counts, never a person."""
    rows = output.table("records", "number", numbers=["number"])
    for split, count in plan.by_split.items():
        rows.add_row(split, f"{count:,}")
    for name, count in plan.by_class.items():
        rows.add_row(Text(f"train, class {name}"), f"{count:,}", style="dim")
    touched = f"{sizes(plan, len(plan.subjects))}; shards to rewrite: {len(plan.shards)}."
    stays = [Text(f"Stays: {sentence}", "yellow") for sentence in plan.stays]
    return [f"Plan {plan.id}: {touched}", rows, *(Text(warning, "yellow") for warning in plan.warnings), *stays]
