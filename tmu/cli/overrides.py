"""`--set train.epochs=3`: parameters of this call alone, checked like params.yaml."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from tmu.config import Params
from tmu.errors import ConfigError

if TYPE_CHECKING:
    from tmu.workspace import Workspace

Set = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a key of params.yaml; may be repeated.")
]


def chosen(workspace: "Workspace", assignments: list[str]) -> Params:
    """The parameters of a workspace with what `--set` says. Raises as `overridden`, and as `tmu.start_file.pinned`."""
    return workspace.pinned(overridden(workspace.params, assignments))


def overridden(params: Params, assignments: list[str]) -> Params:
    """`params` with dotted keys set to YAML values. Raises ConfigError naming the key that is unknown or bad."""
    from pydantic import ValidationError

    raw = params.model_dump(mode="json")
    for assignment in assignments:
        key, value = pair(assignment, "--set")
        if key == "model.init":
            raw["model"].pop("init_sha256", None)  # of the file that is not used now
        _place(raw, key.split("."), value)
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"--set: `{where}`: {first['msg']}.", "`tmu show params` lists all keys.") from error


def pair(assignment: str, option: str) -> tuple[str, Any]:
    """`key=value` as key and value, the latter read as YAML."""
    key, equals, text = assignment.partition("=")
    if not key or not equals:
        raise ConfigError(f"{option} `{assignment}` has no `=`.", f"Write {option} key=value.")
    try:
        return key, yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{option} `{key}`: the value is not YAML.", "Put it in quotes.") from error


def _place(raw: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        raw = raw.setdefault(part, {})
        if not isinstance(raw, dict):
            raise ConfigError(f"--set: `{'.'.join(path)}` goes below a plain value.", "`tmu show params` lists keys.")
    raw[path[-1]] = value
