"""Where a call works: the workspace of `--home`, and paths that the user types relative to the folder they are in."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tmu.errors import ConfigError

if TYPE_CHECKING:
    from tmu.refs import DataRef
    from tmu.workspace import Workspace

_CHOSEN: dict[str, str | None] = {"home": None}

Data = Annotated[str | None, typer.Option("--data", metavar="DIR", help="A record store; default: the workspace's.")]
Out = Annotated[
    str | None,
    typer.Option("--out", metavar="DIR", help="Write to this folder (for dvc.yaml) instead of the artifact store."),
]


def choose_home(folder: str | None) -> None:
    """Remember `--home` for this call."""
    _CHOSEN["home"] = folder


def home() -> str | None:
    """What `--home` said."""
    return _CHOSEN["home"]


def open_workspace() -> "Workspace":
    """The workspace of this call."""
    from tmu.workspace import Workspace

    return Workspace.open(home())


def untouched(workspace: "Workspace", scratch: Path) -> "Workspace":
    """The same workspace for looking only: what is derived while looking goes to `scratch`."""
    from tmu.workspace import untouched as looking

    return looking(workspace, scratch)


def inside(workspace: "Workspace", path: str) -> str:
    """A path as steps want it: relative to the workspace where it lies inside, else absolute."""
    full = Path(path).resolve()
    return full.relative_to(workspace.root).as_posix() if full.is_relative_to(workspace.root) else str(full)


def data_of(workspace: "Workspace", folder: str | None) -> "DataRef":
    """The record store of `--data`."""
    from tmu.steps.loading import data_ref

    return data_ref(workspace, inside(workspace, folder) if folder else None)


def out_of(workspace: "Workspace", folder: str | None, mark: str = "manifest.json") -> str | None:
    """The folder of `--out`. It is replaced whole, so ConfigError where it holds anything but what steps write.

    mark: the file by which an output of this kind is known.
    """
    if folder is None:
        return None
    full = Path(folder).resolve()
    taken = full.exists() and (not full.is_dir() or any(full.iterdir()))
    if full == workspace.data or (taken and not (full / mark).is_file()):
        raise ConfigError(
            f"--out {folder} would replace something that is not an output of this verb.", "Name another."
        )
    return inside(workspace, folder)
