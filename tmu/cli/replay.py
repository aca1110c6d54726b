"""`tmu replay`: compute a deletion's model again, or repeat a step from a bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmu.cli import output
from tmu.cli.workspace import open_workspace
from tmu.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from tmu.steps.replay import Replayed

NOT_REPLAYABLE = 9
"""Exit code: what the replay needs is gone; what remains was checked and holds."""


def replay(
    request: Annotated[str | None, typer.Argument(metavar="[ID]", help="Id of a deletion.")] = None,
    spot: Annotated[
        str | None, typer.Option("--spot", metavar="BUNDLE", help="Repeat the audit's judgement from this bundle.")
    ] = None,
    as_json: output.Json = False,
) -> None:
    """Compute the unlearned model of a deletion again from its manifest, and compare it bit for bit.

    Nothing that was computed before is used. On another device class than that of the manifest a distance is
    tolerated. After the purge the inputs are gone: the command then says which and why, checks what remains, and ends
    with exit code 9. With --spot no workspace is needed: anybody who holds a bundle repeats one step of it.

    Examples: [bold]tmu replay 0123456789abcdef[/] · [bold]tmu replay --spot evidence/0123456789abcdef[/]
    """
    if (request is None) == (spot is None):
        raise ConfigError("A replay needs an id or --spot, not both.", "`tmu show requests` lists the ids.")
    if spot is not None:
        _spot(Path(spot))
        return
    from tmu.steps.replay import replay as again

    with output.progress("replay") as report:
        found = again(open_workspace(), str(request), progress=report)
    output.emit(found.model_dump(mode="json") | {"sentence": found.sentence}, lambda: _shown(found))
    if found.state == "not replayable":
        raise typer.Exit(NOT_REPLAYABLE)
    if found.state == "different":
        raise typer.Exit(ModelError.exit_code)


def _spot(folder: Path) -> None:
    from dataclasses import asdict

    from tmu.evidence.spot import spots_of_bundle

    found = spots_of_bundle(folder)
    output.emit([asdict(each) for each in found], lambda: [each.sentence for each in found])


def _shown(found: "Replayed") -> list[Any]:
    lines: list[Any] = [found.sentence]
    lines += [f"  {each.name}: {each.why}" for each in found.gone]
    lines += [f"Other than then: {each}." for each in found.differences]
    lines += [f"  {each}" for each in found.checked]
    return lines
