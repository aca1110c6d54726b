"""Which weights are in service: by the alias in MLflow, and by the record of the last cut-over."""

from tmu.data.info import read_info
from tmu.lineage.learners import Learner
from tmu.steps.cut_over import last_cut_over
from tmu.stores.mlflow import Version
from tmu.workspace import Workspace


def served(workspace: Workspace) -> frozenset[str]:
    """SHA-256 of the weights that serve, or wait to (`audit.inconclusive`). Raises StorageError without MLflow."""
    dataset = read_info(workspace.data).dataset
    champion = workspace.registry.get_alias(dataset, "champion")
    candidate = workspace.registry.get_alias(dataset, "candidate")
    last = last_cut_over(workspace, dataset)
    found = [champion.weights_sha256] if champion else []
    found += [candidate.weights_sha256] if candidate and candidate.tags.get("serving") == "waits" else []
    return frozenset([*found, *([last.weights] if last else [])])


def registered(workspace: Workspace) -> list[Learner]:
    """The registered versions as learners, by their tags: MLflow may hold a model that no artifact store has."""
    return [_learner(each) for each in workspace.registry.versions(read_info(workspace.data).dataset)]


def _learner(version: Version) -> Learner:
    tags = {name: None if value == "none" else value for name, value in version.tags.items()}
    return Learner(
        address=f"models:/{version.name}/{version.version}",
        weights=version.weights_sha256,
        stage=version.role,
        revision=version.tags["data_revision"],
        forget=tags.get("forget_set_digest"),
        original=tags.get("parent"),
        method=tags.get("method"),
    )
