"""`tmu verify-erasure`: whether anything of a person is left in any store, searched by code that deletes nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmu.cli import output
from tmu.cli.selection import Records, Subjects, asked_in
from tmu.cli.workspace import open_workspace
from tmu.errors import ConfigError, GateError, RequestError, StorageError
from tmu.words import counted

if TYPE_CHECKING:
    from tmu.search.declared import Declared
    from tmu.search.report import SearchReport
    from tmu.search.sought import Given

_FILE = typer.Option(metavar="FILE", help="A request file with ids or keys; `-` is standard input.")
_PICTURES = typer.Option(metavar="DIR", help="Pictures of the person, as the verifier has them.")
_BEFORE = typer.Option(metavar="FILE", help="Search before the purge; write the inventory to FILE (mode 600).")
_AFTER = typer.Option(metavar="FILE", help="Search after the purge, with the inventory taken before.")
_ALSO = typer.Option(metavar="DIR", help="Search this folder, too: a backup, a clone, an export; repeatable.")
_RULES = typer.Option(metavar="FILE", help='What may stay by a rule: JSON, [{"what", "why", "until"}].')
_OUT = typer.Option(metavar="FILE", help="Write the report as JSON.")


def verify_erasure(
    subjects: Subjects = [],  # noqa: B006 - Typer copies it
    records: Records = [],  # noqa: B006
    ids: Annotated[str | None, _FILE] = None,
    pictures: Annotated[Path | None, _PICTURES] = None,
    before: Annotated[Path | None, _BEFORE] = None,
    after: Annotated[Path | None, _AFTER] = None,
    also: Annotated[list[Path], _ALSO] = [],  # noqa: B006
    declared: Annotated[Path | None, _RULES] = None,
    out: Annotated[Path | None, _OUT] = None,
    as_json: output.Json = False,
) -> None:
    """Search every store for a person: files, old versions in S3, databases, caches, temporary folders, models.

    It reads only, by code of its own, in S3 with the auditor's key (`s3_read_key`). PASS: nothing is left but what a
    rule declares. FAILED (exit code 6): something is. UNKNOWN (exit code 7): something could not be looked at.

    Examples: [bold]tmu verify-erasure --subject ID --pictures photos --before inventory.json[/] ·
    [bold]tmu verify-erasure --after inventory.json --json[/]
    """
    from tmu.search import inventory as inventories
    from tmu.search.needles import Needles
    from tmu.search.run import Task
    from tmu.search.search import search
    from tmu.search.sought import needles_of

    if before is not None and after is not None:
        raise ConfigError("--before and --after are of two searches.", "Give one of them.")
    workspace = open_workspace()
    taken = inventories.load(after) if after is not None else None
    given = _given(subjects, records, ids, pictures)
    needles = needles_of(workspace, given) if given or taken is None else Needles()
    own = tuple(each.resolve() for each in (pictures, before, after) if each is not None)
    with output.progress("search") as report:
        task = Task(needles, taken, tuple(also), own, _rules(declared), report)
        found, inventory = search(workspace, task)
    if before is not None:
        inventories.save(inventory, before)
    if out is not None:
        from tmu.files import write_json

        write_json(out, found.as_json())
    output.emit(found.as_json(), lambda: shown(found))
    _exit(found, before is not None)


def _given(subjects: list[str], records: list[str], ids: str | None, pictures: Path | None) -> "Given":
    from tmu.search.sought import Given

    if pictures is not None and not pictures.is_dir():
        raise RequestError(f"There is no folder {pictures}.", "Name a folder of pictures of the person.")
    body = asked_in(subjects, records, ids)
    keys = (*body.subject_keys, *body.record_keys)
    return Given(tuple(body.subjects), tuple(body.records), keys, pictures.resolve() if pictures else None)


def _rules(path: Path | None) -> "tuple[Declared, ...]":
    from pydantic import TypeAdapter, ValidationError

    from tmu.search.declared import Declared

    if path is None:
        return ()
    try:
        return TypeAdapter(tuple[Declared, ...]).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigError(
            f"{path} holds no rules.", 'Write [{"what": ADDRESS, "why": RULE, "until": DATE}].'
        ) from error


def _exit(report: "SearchReport", expected: bool) -> None:
    """expected: before a purge something is there, and finding it is no failure."""
    from tmu.search.report import Outcome

    if expected or report.outcome is Outcome.PASS:
        return
    raise typer.Exit((GateError if report.outcome is Outcome.FAILED else StorageError).exit_code)


def shown(report: "SearchReport") -> Iterator[Any]:
    """A report for people."""
    from tmu.search import server_files

    rights = "cannot write there" if report.principal.read_only else "could write to some stores (see --json)"
    sought = report.needles
    yield f"{report.outcome}: searched by {report.principal.account}, which {rights}."
    pictures = f"{sought.files} encoded and {sought.pictures} decoded pictures"
    yield f"Looked for {counted(sought.keys, 'key')}, {counted(sought.ids, 'id')}, {pictures}."
    if sought.short_ids:
        short = "1 id is" if sought.short_ids == 1 else f"{sought.short_ids:,} ids are"
        yield f"{short} too short to be looked for in bytes: only keys were."
    yield _haystacks(report)
    if report.hits:
        yield _hits(report)
    if report.models:
        yield _models(report)
    there = [each for each in report.old_versions if not each.gone]
    if report.old_versions:
        yield f"Old versions in S3 that held something: {len(report.old_versions)}, still there: {len(there)}."
    for each in report.not_looked_at:
        yield f"Not looked at: {each.address}: {each.why}{f' (accepted: {each.rule})' if each.rule else ''}."
    if any(each.haystack == server_files.NAME and not each.rule for each in report.not_looked_at):
        yield server_files.HINT


def _haystacks(report: "SearchReport") -> Any:
    table = output.table("store", "things", "bytes", "opened", "pictures", "hits", "declared", numbers=(
        "things", "bytes", "opened", "pictures", "hits", "declared"
    ))  # fmt: skip
    for each in report.haystacks:
        hits = sum(hit.haystack == each.name for hit in report.left)
        declared = sum(hit.haystack == each.name for hit in report.declared)
        numbers = (each.things, each.bytes, each.opened, each.images, hits, declared)
        table.add_row(each.name, *(f"{number:,}" for number in numbers))
    return table


def _hits(report: "SearchReport") -> Any:
    table = output.table("store", "address", "what", "by", "rule")
    for each in report.hits:
        address = f"{each.address} ({each.version})" if each.version else each.address
        table.add_row(each.haystack, address, each.inside, f"{each.by} ({each.needles})", each.why)
    return table


def _models(report: "SearchReport") -> Any:
    table = output.table("weights", "learned", "because", "where")
    for each in report.models:
        table.add_row(each.weights[:12], str(each.learned), each.why or each.source, "\n".join(each.names))
    return table
