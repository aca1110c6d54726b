"""`tmu data …`: import, show, verify, erase; readers."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.text import Text

from tmu.cli import output
from tmu.cli.data_erase import erase
from tmu.cli.overrides import pair
from tmu.cli.selection import Found, keys_of, look_up, ordinal, select
from tmu.cli.workspace import open_workspace
from tmu.errors import DataError

if TYPE_CHECKING:
    from tmu.data.store import RecordStore
    from tmu.workspace import Workspace

app = typer.Typer(no_args_is_help=True, help="Import, show, verify and erase records.")
app.command("erase")(erase)


@app.command("import")
def import_(
    reader: Annotated[str, typer.Argument(metavar="READER", help="`tmu data readers` lists them.")],
    options: Annotated[list[str], typer.Option("--option", metavar="KEY=VALUE", help="An option of the reader.")] = [],  # noqa: B006 - Typer copies it
    root: Annotated[str | None, typer.Option(metavar="DIR", help="The reader's `root`: the folder it reads.")] = None,
    subjects_csv: Annotated[
        str | None, typer.Option(metavar="FILE", help="The reader's `subjects`: CSV of path,label,subject[,split].")
    ] = None,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="Its name; default: the reader's.")] = None,
    holdout: Annotated[float | None, typer.Option(help="Share of the records for the twin (0.25).")] = None,
    test: Annotated[float | None, typer.Option(help="Share of the records for tests (0.25).")] = None,
    buckets: Annotated[
        int | None, typer.Option(help="Number of shards (64; up to 256 where the pictures take more than 4 GiB).")
    ] = None,
    fold_case: Annotated[bool, typer.Option("--fold-case", help="Ignore letter case in ids of people.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the store; erased records stay erased.")] = False,
    near_copies: Annotated[
        Literal["refuse", "report"], typer.Option(help="What to do with pictures that look like an erased one.")
    ] = "refuse",
    as_json: output.Json = False,
) -> None:
    """Read a dataset into the record store and make it a data revision.

    Examples: [bold]tmu data import digits[/] · [bold]tmu data import image-folder --root photos --subjects-csv
    who.csv --option size=64[/]
    """
    from tmu.steps.import_data import import_data

    given = dict(pair(option, "--option") for option in options)
    given |= {name: value for name, value in {"root": root, "subjects": subjects_csv}.items() if value is not None}
    layout = {"holdout": holdout, "test": test, "n_buckets": buckets}
    layout = {name: value for name, value in layout.items() if value is not None} | {"fold_case": fold_case}
    workspace = open_workspace()
    with output.progress(f"import {reader}") as report:
        ref, imported = import_data(
            workspace,
            reader,
            given,
            dataset=dataset,
            replace=replace,
            near_copies=near_copies,
            progress=report,
            **layout,
        )
    # as many subjects as records may mean that the CSV was forgotten
    facts = {
        "dataset": imported.info.dataset,
        "records": imported.records,
        "subjects": _open(workspace).index().n_subjects,
    }
    facts |= {"classes": len(imported.info.classes), "kept erased": imported.skipped_erased}
    facts |= {"erased pictures left out": imported.suppressed}
    value = {**facts, "digest": ref.digest, "key_id": imported.info.key_id, "of several people": imported.shared}
    value |= {"left out": imported.left_out, "converted": imported.converted, "warnings": list(imported.warnings)}
    output.emit(value, lambda: _imported(value))


def _imported(value: dict[str, Any]) -> list[Any]:
    """The summary for people; what was left out, converted and odd is named even where a count is all there is."""
    counted = {name: value[name] for name in ("left out", "converted")}
    said = {name: "; ".join(f"{count:,} x {kind}" for kind, count in found.items()) for name, found in counted.items()}
    plain = {name: each for name, each in value.items() if name not in (*counted, "warnings")}
    warnings = [Text(f"Warning: {warning}", "yellow") for warning in value["warnings"]]
    return ["Imported.", output.facts(plain | {name: text or "nothing" for name, text in said.items()}), *warnings]


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
def verify(as_json: output.Json = False) -> None:
    """Read every byte of the store and check every rule; exit code 4 where it is broken.

    Example: [bold]tmu data verify --json[/]
    """
    from tmu.steps.note_contents import note_contents

    workspace = open_workspace()
    store = _open(workspace)
    if not store.info.simulated:
        keys_of(workspace, store.info)
    report = store.verify()
    if store.digest() != workspace.versions.revision(workspace.data):
        raise DataError("data/ is not the revision that data.dvc names.", "Restore it with `dvc checkout data.dvc`.")
    note_contents(workspace)  # a store older than this cache gets it here
    output.emit(report, lambda: ["The store is sound and is the revision of data.dvc.", output.facts(report)])


@app.command()
def readers(as_json: output.Json = False) -> None:
    """The readers there are, with their options.

    Example: [bold]tmu data readers[/]
    """
    from tmu.data.readers import Reader, known_readers

    names = known_readers()
    known = {each.name: list(each.Options.model_fields) for each in _below(Reader) if vars(each).get("name") in names}
    rows = output.table("reader", "options")
    for name, options in sorted(known.items()):
        rows.add_row(name, ", ".join(options) or "none")
    output.emit(known, lambda: [rows])


def _below(cls: type) -> list[type]:
    return [each for child in cls.__subclasses__() for each in (child, *_below(child))]


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
