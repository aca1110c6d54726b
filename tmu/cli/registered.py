"""Registered versions with their aliases and audit numbers, read for people."""

from typing import TYPE_CHECKING, Any

from tmu.errors import RequestError
from tmu.stores.mlflow_gone import AT

if TYPE_CHECKING:
    from tmu.stores.mlflow import Version
    from tmu.workspace import Workspace

ALIASES = ("original", "gold", "candidate", "champion", "blocked")


def dataset_of(workspace: "Workspace") -> str:
    """The workspace's dataset."""
    from tmu.data.info import read_info

    return read_info(workspace.data).dataset


def versions(workspace: "Workspace") -> list["Version"]:
    """All versions, oldest first. Looking does not make MLflow's embedded store."""
    if workspace.registry.embedded and not workspace.state("mlflow.db").exists():
        return []
    return workspace.registry.versions(dataset_of(workspace))


def aliases(workspace: "Workspace") -> dict[int, list[str]]:
    """Aliases by version number."""
    found: dict[int, list[str]] = {}
    for alias in ALIASES:
        version = workspace.registry.get_alias(dataset_of(workspace), alias)
        if version is not None:
            found.setdefault(version.version, []).append(alias)
    return found


def pick(workspace: "Workspace", name: str) -> "Version":
    """A version by number, or by `@alias`. Raises RequestError for one that is not there."""
    known = versions(workspace)
    if name.startswith("@"):
        found = workspace.registry.get_alias(dataset_of(workspace), name[1:]) if known else None
        chosen = [found] if found else []
    else:
        chosen = [each for each in known if str(each.version) == name]
    if not chosen:
        raise RequestError(f"There is no registered version `{name}`.", "`tmu show versions` lists them.")
    return chosen[0]


def final_numbers(workspace: "Workspace", chosen: list["Version"]) -> list[dict[str, float]]:
    """The final numbers of each version's run, without the training curves; none of a purged version."""
    from tmu.stores import mlflow_link

    with mlflow_link.refusals():
        client = mlflow_link.connect(workspace.registry.uri, workspace.state("mlflow.lock"))
        found = [{} if each.purged else client.get_run(each.run_id).data.metrics for each in chosen]
    return [{name: value for name, value in each.items() if "/" not in name} for each in found]


def row(version: "Version", names: dict[int, list[str]]) -> dict[str, Any]:
    """One version as JSON."""
    return {
        "version": version.version,
        "aliases": names.get(version.version, []),
        "blocked": version.tags.get("serving") == "blocked",
        "purged": version.tags.get(AT),
        "role": version.role,
        "method": version.tags.get("method", "none"),
        "data": version.tags["data_revision"],
        "weights": version.weights_sha256,
        "files": version.files_sha256,
    }
