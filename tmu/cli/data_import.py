"""`tmu data import`: read a dataset into the record store, or show what that would give."""

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.text import Text

from tmu.cli import output
from tmu.cli.overrides import pair
from tmu.cli.workspace import open_workspace
from tmu.errors import ConfigError

if TYPE_CHECKING:
    from tmu.data.importer import Imported
    from tmu.refs import DataRef

_FIT = "How another size is made to fit: proportions change, longer sides are cut, shorter ones filled."


def import_(
    reader: Annotated[str, typer.Argument(metavar="READER", help="`tmu data readers` lists them.")],
    options: Annotated[list[str], typer.Option("--option", metavar="KEY=VALUE", help="An option of the reader.")] = [],  # noqa: B006 - Typer copies it
    root: Annotated[str | None, typer.Option(metavar="DIR", help="The reader's `root`: the folder it reads.")] = None,
    subjects_csv: Annotated[
        str | None, typer.Option(metavar="FILE", help="The reader's `subjects`: CSV of path,label,subject[,split].")
    ] = None,
    size: Annotated[int | None, typer.Option(metavar="PIXELS", help="Make all pictures PIXELS x PIXELS.")] = None,
    fit: Annotated[Literal["resize", "crop", "pad"] | None, typer.Option(help=_FIT)] = None,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="Its name; default: the reader's.")] = None,
    shares: Annotated[
        str | None, typer.Option(metavar="A/B/C", help="Train, hold-out and test in percent (80/10/10).")
    ] = None,
    holdout: Annotated[float | None, typer.Option(help="Share of the records for the twin (0.1).")] = None,
    test: Annotated[float | None, typer.Option(help="Share of the records for tests (0.1).")] = None,
    by_subject: Annotated[
        bool, typer.Option("--by-subject", help="Keep all records of a person in one split.")
    ] = False,
    buckets: Annotated[
        int | None, typer.Option(help="Number of shards (64; up to 256 where the pictures take more than 4 GiB).")
    ] = None,
    fold_case: Annotated[bool, typer.Option("--fold-case", help="Ignore letter case in ids of people.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the store; erased records stay erased.")] = False,
    near_copies: Annotated[
        Literal["refuse", "report"], typer.Option(help="What to do with pictures that look like an erased one.")
    ] = "refuse",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check all of it, show splits and sizes, change nothing.")
    ] = False,
    as_json: output.Json = False,
) -> None:
    """Read a dataset into the record store and make it a data revision.

    Examples: [bold]tmu data import digits[/] · [bold]tmu data import image-folder --root photos --subjects-csv
    who.csv --size 224 --fit crop --shares 80/10/10 --dry-run[/]
    """
    from tmu.steps.import_data import import_data
    from tmu.steps.preview_import import preview_import

    given = dict(pair(option, "--option") for option in options)
    given |= _named(root=root, subjects=subjects_csv, size=size, fit=fit)
    layout = _named(**_shares(shares, holdout, test), n_buckets=buckets)
    layout |= {"fold_case": fold_case, "split_by": "subject" if by_subject else None}
    workspace, ref = open_workspace(), None
    with output.progress(f"import {reader}") as report:
        rest = {"dataset": dataset, "progress": report, **layout}
        if dry_run:
            imported = preview_import(workspace, reader, given, **rest)
        else:
            ref, imported = import_data(workspace, reader, given, replace=replace, near_copies=near_copies, **rest)
    value = _facts(imported, ref, None if ref is None else _n_subjects(workspace))
    if imported.records and not imported.drawn and (by_subject or {shares, holdout, test} != {None}):
        value["warnings"].append(
            "The source names the split of every record: the shares that were given change nothing."
        )
    output.emit(value, lambda: _imported(value))


def _named(**given: Any) -> dict[str, Any]:
    """Those that were given."""
    return {name: value for name, value in given.items() if value is not None}


def _facts(imported: "Imported", ref: "DataRef | None", subjects: int | None) -> dict[str, Any]:
    """ref, subjects: of the revision that was made; None: of a dry run."""
    facts: dict[str, Any] = {"dataset": imported.info.dataset, "records": imported.records}
    if subjects is not None:  # as many subjects as records may mean that the CSV was forgotten
        facts |= {"subjects": subjects}
    facts |= {"classes": len(imported.info.classes), "kept erased": imported.skipped_erased}
    facts |= {"erased pictures left out": imported.suppressed}
    facts |= {"sizes": imported.sizes, "JPEGs kept": imported.jpegs}
    facts |= {"digest": ref.digest if ref else None, "key_id": imported.info.key_id if ref else None}
    facts |= {"of several people": imported.shared, "splits": imported.splits, "dry_run": ref is None}
    facts |= {"left out": imported.left_out, "converted": imported.converted}
    return facts | {"warnings": [*imported.warnings]}


def _n_subjects(workspace: Any) -> int:
    from tmu.data.store import RecordStore

    return RecordStore.open(workspace.data, cache=workspace.state("index")).index().n_subjects


def _shares(shares: str | None, holdout: float | None, test: float | None) -> dict[str, float | None]:
    """Shares as the importer takes them. Raises ConfigError for what are no three percentages that make a hundred."""
    if shares is None:
        return {"holdout": holdout, "test": test}
    if holdout is not None or test is not None:
        raise ConfigError("--shares says all shares.", "Leave out --holdout and --test.")
    found = re.fullmatch(r"(\d{1,3})/(\d{1,3})/(\d{1,3})", shares)
    if found is None or sum(map(int, found.groups())) != 100 or int(found[1]) == 0:
        raise ConfigError(f"--shares `{shares}` are not three percentages of 100 in all.", "Write --shares 80/10/10.")
    return {"holdout": int(found[2]) / 100, "test": int(found[3]) / 100}


def _imported(value: dict[str, Any]) -> list[Any]:
    """The summary for people; what was left out, converted and odd is named even where a count is all there is."""
    counted = {name: value[name] for name in ("left out", "converted")}
    said = {name: "; ".join(f"{count:,} x {kind}" for kind, count in found.items()) for name, found in counted.items()}
    apart = (*counted, "warnings", "splits", "dry_run")
    plain = {name: each for name, each in value.items() if name not in apart and each not in (None, "")}
    warnings = [Text(f"Warning: {warning}", "yellow") for warning in value["warnings"]]
    head = "This would be imported; nothing was changed." if value["dry_run"] else "Imported."
    facts = output.facts(plain | {name: text or "nothing" for name, text in said.items()})
    return [head, facts, _split_table(value["splits"]), *warnings]


def _split_table(splits: dict[str, dict[str, int]]) -> Any:
    columns = list(next(iter(splits.values())))
    rows = output.table("split", *columns, "share", numbers=(*columns, "share"))
    total = sum(counts["records"] for counts in splits.values())
    for name, counts in splits.items():
        share = f"{100 * counts['records'] / total:.1f} %" if total else ""
        rows.add_row(name, *(f"{number:,}" for number in counts.values()), share)
    return rows
