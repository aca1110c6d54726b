"""Which weights are in service: by the alias in MLflow, and by the record of the last cut-over."""

from collections.abc import Iterable

from tmu.data.info import STORE_FILE, read_info
from tmu.lineage.learners import Learner
from tmu.steps.cut_over import last_cut_over
from tmu.stores.mlflow import Version
from tmu.workspace import Workspace


def served(workspace: Workspace) -> frozenset[str]:
    """SHA-256 of the weights that serve, or wait to (`audit.inconclusive`). Raises StorageError without MLflow."""
    return _of(workspace, read_info(workspace.data).dataset) if _has_versions(workspace) else frozenset()


def ended(workspace: Workspace, weights: Iterable[str]) -> frozenset[str]:
    """Those of the weights that serve nowhere now: what a purge may destroy, and of what consumers are told."""
    return frozenset(weights) - served(workspace) - served_elsewhere(workspace)


def served_elsewhere(workspace: Workspace) -> frozenset[str]:
    """The same for all other data sets in the same MLflow: an earlier one of this workspace, or another workspace's.

    Their revisions may be unreadable here, so that nobody can tell whom their models learned.
    """
    if not _has_versions(workspace):
        return frozenset()
    others = set(workspace.registry.datasets()) - {read_info(workspace.data).dataset}
    return frozenset[str]().union(*(_of(workspace, each) for each in others))


def _of(workspace: Workspace, dataset: str) -> frozenset[str]:
    champion = workspace.registry.get_alias(dataset, "champion")
    candidate = workspace.registry.get_alias(dataset, "candidate")
    last = last_cut_over(workspace, dataset)
    found = [champion.weights_sha256] if champion else []
    found += [candidate.weights_sha256] if candidate and candidate.tags.get("serving") == "waits" else []
    blocked = {champion.weights_sha256} if champion and champion.tags.get("serving") == "blocked" else set()
    return frozenset([*found, *([last.weights] if last else [])]) - blocked


def registered(workspace: Workspace) -> list[Learner]:
    """The registered versions as learners, by their tags: MLflow may hold a model that no artifact store has."""
    if not _has_versions(workspace):
        return []
    return [_learner(each) for each in workspace.registry.versions(read_info(workspace.data).dataset)]


def _has_versions(workspace: Workspace) -> bool:
    """Whether there is anything to ask for; looking does not make MLflow's embedded store."""
    has_mlflow = not workspace.registry.embedded or (workspace.root / ".tmu" / "mlflow.db").exists()
    return has_mlflow and (workspace.data / STORE_FILE).is_file()


def _learner(version: Version) -> Learner:
    tags = {name: None if value == "none" else value for name, value in version.tags.items()}
    return Learner(
        address=f"models:/{version.name}/{version.version}",
        weights=version.weights_sha256,
        stage=version.role,
        revision=version.tags.get("data_revision", ""),
        forget=tags.get("forget_set_digest"),
        original=tags.get("parent"),
        method=tags.get("method"),
        purged=version.purged,
    )
