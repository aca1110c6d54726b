"""`tmu plan` and `tmu erase`: a request as a forget set, and the data without it. The first two stages of dvc.yaml."""

from typing import TYPE_CHECKING, Annotated

import typer

from tmu.cli import output
from tmu.cli.place import Data, Out, data_of, out_of, workspace
from tmu.cli.planning import plan_json, planned, shown_plan
from tmu.cli.references import forget_ref
from tmu.cli.selection import File, Records, Subjects, WithCopies, select, with_copies

if TYPE_CHECKING:
    from tmu.workspace import Workspace


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
    from tmu.steps.acknowledge import forget_set
    from tmu.steps.loading import data_folder

    place = workspace()
    target, ref = out_of(place, out), data_of(place, data)
    store = RecordStore.open(data_folder(place, ref), contents=place.contents)
    selection = with_copies(store, select(place, store.info, subjects, records, file), copies)
    made = planned(place, selection, method, ref)
    if keys_only:
        output.MODE.json = True
        output.emit(selection.as_json(), list)
        return
    value = plan_json(made)
    if target is not None:
        value["forget"] = forget_set(place, made, target).model_dump()
    output.emit(value, lambda: [*shown_plan(made), *([f"Forget set: {target}"] if target else [])])


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

    place = workspace()
    ref = erase_data(place, data_of(place, data), forget_ref(place, forget), out=_store_out(place, out))
    output.emit(ref.model_dump(), lambda: [output.facts(ref.model_dump())])


def _store_out(place: "Workspace", out: str) -> str:
    return str(out_of(place, out, "store.json"))
