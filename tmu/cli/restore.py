"""`tmu restore`: after a restore from a backup, erase and purge again what was erased since."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmu.cli import output
from tmu.cli.output import Yes
from tmu.cli.workspace import open_workspace
from tmu.errors import ConfigError

if TYPE_CHECKING:
    from tmu.steps.restore import Found

File = Annotated[
    str | None,
    typer.Option(
        "--tombstones",
        metavar="FILE",
        help="A copy of the tombstones that was kept outside, or `heads_s3`: the one in that bucket; default: here.",
    ),
]


def restore(
    tombstones: File = None,
    export: Annotated[
        str | None, typer.Option("--export", metavar="FILE", help="Write a copy of the tombstones, to keep outside.")
    ] = None,
    yes: Yes = False,
    as_json: output.Json = False,
) -> None:
    """Find what a restored backup brought back of erased people; with --yes erase and purge it again.

    The tombstones tell what was erased, without naming anybody. They must not be restored with the backup: keep their
    folder elsewhere (setting [bold]suppression[/]), or a copy, with its secret. A deletion leaves one in the bucket of
    the setting [bold]heads_s3[/]. Without --yes nothing is changed.

    Examples: [bold]tmu restore[/] · [bold]tmu restore --yes[/] · [bold]tmu restore --tombstones copy.jsonl --yes[/] ·
    [bold]tmu restore --export copy.jsonl[/]
    """
    from tmu.suppression.tombstones import Tombstones

    workspace = open_workspace()
    if export is not None:
        if yes or tombstones is not None:
            raise ConfigError("--export writes a copy and does nothing else.", "Leave out the other options.")
        _exported(Tombstones.of(workspace), Path(export))
        return
    from tmu.steps import restore as step

    lines = _lines(workspace, tombstones)
    if yes:
        with output.progress("restore") as report:
            found = step.restore(workspace, lines, report)
    else:
        found = step.look_for_returned(workspace, lines)
    output.emit(found.model_dump(mode="json"), lambda: _shown(found, done=yes))


def _lines(workspace: Any, tombstones: str | None) -> Any:
    """From here, from a file, or from the bucket of the heads."""
    from tmu.steps.copy_tombstones import copied_tombstones
    from tmu.suppression.tombstones import Tombstones, read_tombstones

    if tombstones is None:
        return Tombstones.of(workspace).all()
    return copied_tombstones(workspace) if tombstones == "heads_s3" else read_tombstones(Path(tombstones))


def _exported(tombstones: Any, file: Path) -> None:
    from tmu.files import write_atomic

    lines = tombstones.all()
    write_atomic(file, tombstones.path.read_bytes() if lines else b"")
    output.emit({"file": str(file), "lines": len(lines)}, lambda: [f"{len(lines)} tombstones written to {file}."])


def _shown(found: "Found", *, done: bool) -> list[Any]:
    """What came back, and what is to be done."""
    facts = {
        "deletions remembered": found.deletions,
        "erased records in the data": found.records,
        "purged models that are not blocked": ", ".join(map(str, found.versions)) or "none",
        "traces in other stores": sum(found.traces.values()),
    }
    parts: list[Any] = [output.facts(facts)]
    for each in found.forgotten:
        state = f"says `{each.state}`" if each.state else "does not know it"
        parts.append(f"Request {each.request} was completed; the ledger {state}: record it again.")
    if found.serving is not None:
        parts.append(
            f"Version {found.serving} is in service, and its model was purged: it must not serve. Train another: "
            "`tmu train original --register`."
        )
    if found.clean:
        return ["Nothing of what was erased came back.", *parts]
    if done:
        return ["Erased and purged again.", *parts]
    return ["What was erased came back. Nothing was changed: `tmu restore --yes` erases and purges it again.", *parts]
