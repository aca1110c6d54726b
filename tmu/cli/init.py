"""`tmu init`."""

from pathlib import Path
from typing import Annotated

import typer

from tmu.cli import output
from tmu.cli.workspace import home
from tmu.files import write_atomic

_PARTS = {
    "params.yaml": "every choice of a run",
    "dvc.yaml": "the stages of `dvc repro`",
    ".dvc": "versions of the data",
    ".tmu": "artifacts, journal, MLflow's store; never commit it",
    ".tmu/hash.key": "the secret of the keys of real people: back it up, separately from the data",
    ".tmu/suppression": "what was erased, so that it cannot come back: keep it apart from backups of the rest",
}


def init(
    folder: Annotated[str | None, typer.Argument(metavar="[DIR]", help="The folder; default: --home, or here.")] = None,
    as_json: output.Json = False,
) -> None:
    """Make a workspace, or complete one. What is there is never overwritten.

    Example: [bold]tmu init clinic[/], then [bold]tmu --home clinic data import image-folder --root photos[/]
    """
    from tmu.suppression.tombstones import Tombstones
    from tmu.workspace import Workspace

    root = Path(folder or home() or ".").resolve()
    before = {name for name in _PARTS if (root / name).exists()}
    workspace = Workspace.create(root)
    write_atomic(workspace.state(".gitignore"), b"*\n")  # the secret must not be committed by accident
    workspace.keys(simulated=False)
    Tombstones.of(workspace).make_secret()
    made = [name for name in _PARTS if name not in before and (root / name).exists()]
    output.emit(
        {"workspace": str(root), "made": made},
        lambda: [
            f"Workspace {root}" if made else f"Workspace {root}: nothing was missing.",
            output.facts({name: _PARTS[name] for name in made}),
        ],
    )
