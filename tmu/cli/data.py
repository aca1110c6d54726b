"""`tmu data …`: import, show, verify, erase; readers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from tmu.cli import output
from tmu.cli.data_erase import erase
from tmu.cli.data_import import import_
from tmu.cli.selection import Found, keys_of, look_up, ordinal, select
from tmu.cli.workspace import open_workspace
from tmu.errors import ConfigError, DataError

if TYPE_CHECKING:
    from tmu.data.store import RecordStore
    from tmu.workspace import Workspace

app = typer.Typer(no_args_is_help=True, help="Import, show, verify and erase records.")
app.command("import")(import_)
app.command("erase")(erase)


@app.command()
def show(
    subject: Annotated[
        str | None, typer.Option(metavar="ID", help="Show whether this person is known, with counts.")
    ] = None,
    record: Annotated[str | None, typer.Option(metavar="ID", help="Show whether this record is known.")] = None,
    as_json: output.Json = False,
) -> None:
    """Counts by split and class; with an id, what the store knows of it (and of nobody else).

    Examples: [bold]tmu data show[/] · [bold]tmu data show --subject contributor-007[/]
    """
    workspace = open_workspace()
    store = _open(workspace)
    if subject is not None or record is not None:
        given = [[id_] if id_ is not None else [] for id_ in (subject, record)]
        found = list(look_up(store.index(), select(workspace, store.info, *given, None)))
        value = [_known(store, each) for each in found]
        output.emit(value, lambda: (output.facts(each) for each in value))
        return
    value = _summary(store)
    counts = value.pop("counts")
    output.emit(value | {"counts": counts}, lambda: [output.facts(value), _table(counts)])


@app.command()
def verify(
    pairs: Annotated[bool, typer.Option("--pairs", help="List the likest pairs of near copies by record key.")] = False,
    page: Annotated[
        Path | None,
        typer.Option("--pairs-page", metavar="FILE", help="Write a page with their pictures, for you alone."),
    ] = None,
    as_json: output.Json = False,
) -> None:
    """Read every byte of the store and check every rule; exit code 4 where it is broken.

    Counts equal pictures and near copies, such as one picture in two sizes: in different splits they blur what the
    splits tell.

    Examples: [bold]tmu data verify --json[/] · [bold]tmu data verify --pairs --pairs-page near.html[/]
    """
    from tmu.steps.note_contents import note_contents

    if page is not None and page.exists():
        raise ConfigError(f"{page} exists already.", "Name another file.")
    workspace = open_workspace()
    store = _open(workspace)
    if not store.info.simulated:
        keys_of(workspace, store.info)
    report = store.verify()
    if store.digest() != workspace.versions.revision(workspace.data):
        raise DataError("data/ is not the revision that data.dvc names.", "Restore it with `dvc checkout data.dvc`.")
    note_contents(workspace)  # a store older than this cache gets it here
    if page is not None:
        _write_page(page, store, report)
    output.emit(report, lambda: _verified(report, pairs))


def _write_page(page: Path, store: "RecordStore", report: dict[str, Any]) -> None:
    from tmu.data.pairs_page import pairs_page
    from tmu.files import write_atomic

    write_atomic(page, pairs_page(store, report["near_pairs"]).encode(), private=True)
    output.note(f"{page} holds pictures of people, and no deletion reaches it: delete it when you have looked.")


def _verified(report: dict[str, Any], pairs: bool) -> list[Any]:
    plain = {name: value for name, value in report.items() if name != "near_pairs"}
    rows = output.table("record", "split", "record", "split", "bits", numbers=("bits",))
    for pair in report["near_pairs"]:
        named = zip(pair["records"], pair["splits"], strict=True)
        rows.add_row(*(cell for each in named for cell in each), str(pair["bits"]))
    said = ["The store is sound and is the revision of data.dvc.", output.facts(plain)]
    return [*said, rows] if pairs else said


@app.command()
def readers(as_json: output.Json = False) -> None:
    """The readers there are, with their options.

    Example: [bold]tmu data readers[/]
    """
    from tmu.data.readers import usable_readers

    known = {name: list(each.Options.model_fields) for name, each in usable_readers().items()}
    rows = output.table("reader", "options")
    for name, options in known.items():
        rows.add_row(name, ", ".join(options) or "none")
    output.emit(known, lambda: [rows])


def _open(workspace: "Workspace") -> "RecordStore":
    from tmu.data.store import RecordStore

    return RecordStore.open(workspace.data, cache=workspace.state("index"))


def _summary(store: "RecordStore") -> dict[str, Any]:
    index = store.index()
    return {
        "dataset": store.info.dataset,
        "reader": store.info.reader,
        "digest": store.digest(),
        "key_id": store.info.key_id,
        "people": "simulated" if store.info.simulated else "real",
        "size": "{2}x{1}, {0} channels".format(*store.info.shape),
        "decoder": store.info.decoder,
        "records": len(index),
        "subjects": index.n_subjects,
        "erased": len(index.erased),
        "counts": store.counts(),
    }


def _known(store: "RecordStore", found: Found) -> dict[str, Any]:
    import numpy as np

    from tmu.data.records import SPLITS

    numbers = np.bincount(store.index().splits[found.positions], minlength=len(SPLITS)).tolist()
    what = f"{ordinal(found.place)} {found.kind}"
    return {"id": what, "key": found.key, "state": found.state} | dict(zip(SPLITS, numbers, strict=True))


def _table(counts: dict[str, dict[str, int]]) -> Any:
    rows = output.table("class", *counts, numbers=counts)
    for name in next(iter(counts.values())):
        rows.add_row(Text(name), *(f"{by_class[name]:,}" for by_class in counts.values()))
    rows.add_section()
    rows.add_row("all", *(f"{sum(by_class.values()):,}" for by_class in counts.values()))
    return rows
