"""`tmu show`: parameters, requests, versions, and what there is to choose from."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer
from rich.markup import escape

from tmu.cli import output, registered
from tmu.cli.workspace import open_workspace
from tmu.errors import ConfigError


def show(
    what: Annotated[
        str,
        typer.Argument(help="params, requests, request, versions, methods, metrics, readers, models, or a version."),
    ],
    name: Annotated[str | None, typer.Argument(metavar="[ID]", help="The id, for `request`.")] = None,
    as_json: output.Json = False,
) -> None:
    """Show parameters, requests, versions, one version; or methods, metrics, readers, models
    (architectures), each with a line that says what it is and where it comes from.

    Examples: [bold]tmu show params[/] · [bold]tmu show request 0123456789abcdef[/] · [bold]tmu show @champion[/] ·
    [bold]tmu show 3[/]
    """
    views: dict[str, Callable[[], None]] = {
        "params": _params,
        "requests": _requests,
        "versions": _versions,
        **{kind: partial(_catalogue, kind) for kind in ("methods", "metrics", "readers", "models")},
    }
    if what == "request":
        _request(name)
    elif name is not None:
        raise ConfigError(f"`tmu show {what}` takes no id.", "Leave it out.")
    elif what in views:
        views[what]()
    elif what.isdecimal() or what.startswith("@"):
        _version(what)
    else:
        raise ConfigError(f"There is no view `{what}`.", f"Choose from {', '.join(views)}, request ID, 3, @champion.")


def _params() -> None:
    import yaml

    from tmu.config import WHOLE

    value = open_workspace().params.model_dump(mode="json", context=WHOLE)
    output.emit(value, lambda: [yaml.safe_dump(value, sort_keys=False).rstrip()])


def _requests() -> None:
    from tmu.deletion.deletion import Stage
    from tmu.deletion.journal import Journal

    found = Journal(open_workspace()).all()
    rows = output.table("request", "stage", "records", "acknowledged", numbers=["records"])
    for each in found:
        rows.add_row(each.id, each.stage, str(each.plan.n_records), each.times[Stage.ACKNOWLEDGED])
    value = [each.model_dump(mode="json") for each in found]
    output.emit(value, lambda: [rows] if found else ["There are no requests yet."])


def _request(name: str | None) -> None:
    if name is None:
        raise ConfigError("`tmu show request` needs an id.", "`tmu show requests` lists them.")
    from tmu.deletion.journal import Journal

    deletion = Journal(open_workspace()).find(name)
    plan, outcome = deletion.plan, deletion.outcome
    pairs = {
        "request": deletion.id,
        "stage": deletion.stage,
        "subjects": deletion.n_subjects,
        "records": plan.n_records,
        **{f"{split} records": count for split, count in plan.by_split.items()},
        **{f"{stage} at": time for stage, time in deletion.times.items()},
    }
    pairs |= {"audit": outcome.verdict.outcome} if outcome else {}
    pairs |= {"keys": f"shredded at {deletion.shredded.at}"} if deletion.shredded else {}
    pairs |= {"method": deletion.method, "why": " ".join(deletion.why)}
    output.emit(deletion.model_dump(mode="json"), lambda: [output.facts(pairs)])


def _versions() -> None:
    workspace = open_workspace()
    found = registered.versions(workspace)
    names = registered.aliases(workspace) if found else {}
    value = [registered.row(version, names) for version in found]
    rows = output.table("version", "aliases", "serving", "role", "method", "data", "weights", numbers=["version"])
    for each in value:
        facts = (
            "blocked" if each["blocked"] else f"purged {each['purged']}" if each["purged"] else "",
            each["role"],
            each["method"],
            each["data"][:8],
            each["weights"][:8],
        )
        rows.add_row(str(each["version"]), ", ".join(each["aliases"]), *facts)
    output.emit(value, lambda: [rows] if value else ["No version is registered yet."])


def _version(name: str) -> None:
    workspace = open_workspace()
    version = registered.pick(workspace, name)
    value: dict[str, Any] = registered.row(version, registered.aliases(workspace)) | {"tags": version.tags}
    value["metrics"] = registered.final_numbers(workspace, [version])[0]
    plain = {name: part for name, part in value.items() if name not in ("tags", "metrics")}
    plain["aliases"] = ", ".join(value["aliases"]) or "none"
    numbers = {name: f"{number:.4g}" for name, number in value["metrics"].items()}
    output.emit(value, lambda: [output.facts(plain), output.facts(numbers)])


def _catalogue(kind: str) -> None:
    from tmu.cli.catalogue import entries

    found = entries(kind)
    rows = output.table("name", "what it is", "from")
    for each in found:
        rows.add_row(*map(escape, (each.name, each.error or each.summary, each.source)))
    output.emit([each.model_dump() for each in found], lambda: [rows])
