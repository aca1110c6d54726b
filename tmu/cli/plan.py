"""`tmu plan` and `tmu erase`: a request as a forget set, and the data without it. The first two stages of dvc.yaml."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from tmu.cli import output
from tmu.cli.references import forget_ref
from tmu.cli.selection import File, Records, Selection, Subjects, WithCopies, all_known, select, with_copies
from tmu.cli.workspace import Data, Out, data_of, open_workspace, out_of, untouched

if TYPE_CHECKING:
    from tmu.deletion.plan import Asked, Choice, Plan, Resolved, Risk
    from tmu.refs import DataRef
    from tmu.workspace import Workspace

_UNMEASURED = "Threads: `auto`, not measured yet; the forecast is for one. The first training measures."


def plan(
    subjects: Subjects = [],  # noqa: B006 - Typer copies it
    records: Records = [],  # noqa: B006
    file: File = None,
    copies: WithCopies = False,
    keys_only: Annotated[
        bool, typer.Option("--keys-only", help="Print the request as keys, for request.json.")
    ] = False,
    method: Annotated[str | None, typer.Option(metavar="NAME", help="Forecast for this method, or `auto`.")] = None,
    data: Data = None,
    out: Out = None,
    as_json: output.Json = False,
) -> None:
    """Say what a request touches, how it would be unlearned and at what cost.

    Only with --out anything is written: the forget set, for `dvc.yaml`.

    Examples: [bold]tmu plan --subject contributor-007[/] · [bold]tmu plan --subject contributor-007 --keys-only >
    request.json[/] · [bold]tmu plan --file request.json --out out/forget[/]
    """
    from tmu.data.store import RecordStore
    from tmu.steps.loading import data_folder

    workspace = open_workspace()
    target, ref = out_of(workspace, out), data_of(workspace, data)
    store = RecordStore.open(data_folder(workspace, ref), contents=workspace.contents)
    selection = with_copies(store, select(workspace, store.info, subjects, records, file), copies)
    made = planned(workspace, selection, method, ref)
    if keys_only:
        output.MODE.json = True
        output.emit(selection.as_json(), list)
        return
    value = plan_json(made)
    if target is not None:
        from tmu.steps.acknowledge import forget_set

        value["forget"] = forget_set(workspace, made, target).model_dump()
    written = [f"Forget set: {target}"] if target else []
    output.emit(value, lambda: [*shown_plan(made, workspace), *written])


def erase(
    forget: Annotated[str, typer.Option(metavar="REF", help="A forget set.")],
    out: Annotated[str, typer.Option(metavar="DIR", help="Where the new revision is written.")],
    data: Data = None,
    as_json: output.Json = False,
) -> None:
    """Write the data without a forget set to another folder; the workspace's own data stay as they are.

    Example: [bold]tmu erase --forget out/forget --out out/data[/] (`tmu data erase` erases in place.)
    """
    from tmu.steps.erase_data import erase_data

    workspace = open_workspace()
    ref = erase_data(workspace, data_of(workspace, data), forget_ref(workspace, forget), out=_store_out(workspace, out))
    output.emit(ref.model_dump(), lambda: [output.facts(ref.model_dump())])


def _store_out(workspace: "Workspace", out: str) -> str:
    return str(out_of(workspace, out, "store.json"))


def planned(workspace: "Workspace", selection: Selection, method: str | None, data: "DataRef | None" = None) -> "Plan":
    """The plan of a deletion; nothing is written.

    Raises RequestError for what is unknown, erased before, or too much to unlearn, ConfigError for an unknown method or
    option. data: another revision than the workspace's own.
    """
    from tmu.steps.plan import Planner

    with workspace.scratch() as scratch:
        planner = Planner(untouched(workspace, scratch), data)
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


def shown_plan(plan: "Plan", workspace: "Workspace") -> list[Any]:
    """The plan for people: what goes, the method, why, what the ways are forecast to cost, what a certificate lacks."""
    from tmu.compute.threads import threads_known
    from tmu.steps.unnamed_issuer import unnamed_issuer

    unknown = _UNMEASURED if plan.choice.forecast and threads_known(workspace) is None else None
    lacks = unnamed_issuer(workspace.settings)
    return [*_shown_way(plan), *([unknown] if unknown else []), *([Text(lacks, "yellow")] if lacks else [])]


def _shown_way(plan: "Plan") -> list[Any]:
    from tmu.deletion.plan import RETRAIN
    from tmu.steps.plan_facts import facts_of, worded_share

    choice, facts = plan.choice, facts_of(plan.body)
    lines: list[Any] = [*shown(plan), facts.purge]
    lines += [Text(f"Stays: {each}", "yellow") for each in facts.stays if each not in plan.stays]
    lines.append(Text(f"Method: {facts.method}", "bold"))
    if choice.forecast:
        numbers = ["seconds", "of a retraining", "record visits"]
        rows = output.table("forecast", *numbers, "", numbers=numbers)
        for name, cost in choice.forecast.items():
            seconds = "" if cost.seconds is None else f"{cost.seconds:,.1f}"
            share = cost.share_of(choice.forecast[RETRAIN])
            said = "" if share is None else worded_share(share)
            basis = "measured" if cost.measured else "estimate"
            rows.add_row(Text(_part(name, choice)), seconds, said, f"{cost.visits:,}", basis)
        lines += [rows, f"Price: {facts.price}."]
        lines += [Text(each, "yellow") for each in facts.warnings if each not in plan.warnings]
        lines.append(f"Risk: {facts.risk} ({_ground(choice.risk, exact=facts.likely == RETRAIN)}).")
    return lines


def _ground(risk: "Risk", exact: bool) -> str:
    """What the level of the risk rests on. exact: the model is retrained."""
    if exact:
        return "exact retraining never sees the records; what it costs is time"
    if not risk.audits:
        return "not audited here yet"
    unsure = f", {risk.inconclusive} could tell nothing" * bool(risk.inconclusive)
    return f"{risk.failed} of the last {risk.audits} audits failed{unsure}"


def _part(name: str, choice: "Choice") -> str:
    """What a row of the forecast is of: a request's own part, a way as a whole, or what many requests share."""
    if name in ("networks", "twin problems"):
        return f"  {name}, once"
    if name == "references":
        return f"references: 1/{choice.among} of" if choice.among else "references"
    return f"{name} in all" if f"{name} alone" in choice.forecast else name


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
