"""Registered versions of `tmu-<dataset>`: how one is logged, made, read and found."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tmu.files import digest_of, scratch_folder, sha256_file
from tmu.stores.mlflow_gone import PURGED
from tmu.stores.mlflow_package import mlflow_folder
from tmu.stores.side_by_side import side_by_side

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

    from tmu.models.bundle import Arch

FILES, DIGEST = NOTED = ("files", "files_sha256")
"""Tags of a version: SHA-256 of each stored file by relative path (JSON), and the digest of that list."""
_MODEL = "models:/"
_MOST = 10_000  # versions of one dataset that a search returns


@dataclass(frozen=True)
class Version:
    """A registered model version and the run that it came from."""

    name: str
    version: int
    run_id: str
    model_id: str
    role: str
    weights_sha256: str
    tags: dict[str, str]

    @property
    def refused(self) -> bool:
        """Whether its tags say that it must not be served: it is blocked, or purged."""
        return self.tags.get("serving") in ("blocked", PURGED)

    @property
    def purged(self) -> bool:
        """Whether its tags alone are left."""
        return self.tags.get("serving") == PURGED

    @property
    def files_sha256(self) -> str | None:
        """The digest of the list of its stored files; None where an older tmu registered it."""
        return self.tags.get(DIGEST)


def model_name(dataset: str) -> str:
    """The name of a dataset's experiment and registered model."""
    return f"tmu-{dataset}"


def datasets(client: "MlflowClient") -> list[str]:
    """The data sets of which models are registered."""
    found, token = list[str](), None
    while True:
        page = client.search_registered_models(f"name LIKE '{model_name('')}%'", max_results=1_000, page_token=token)
        found, token = [*found, *(each.name.removeprefix(model_name("")) for each in page)], page.token
        if not token:
            return found


def as_version(found: "ModelVersion") -> Version:
    """MLflow's entity as ours."""
    tags = dict(found.tags)
    return Version(
        name=found.name,
        version=int(found.version),
        run_id=found.run_id or "",
        model_id=found.source.removeprefix(_MODEL),  # `found.model_id` is always None with a SQL registry
        role=tags["role"],
        weights_sha256=tags["weights_sha256"],
        tags=tags,
    )


def search(client: "MlflowClient", dataset: str, tags: Mapping[str, str]) -> list[Version]:
    """Versions of a dataset that carry all of `tags`, oldest first."""
    wanted = [f"name = '{model_name(dataset)}'", *(f"tags.{key} = '{value}'" for key, value in tags.items())]
    found = client.search_model_versions(" and ".join(wanted), max_results=_MOST)
    return sorted((as_version(item) for item in found), key=lambda version: version.version)


def log_model(
    client: "MlflowClient", experiment: str, run_id: str, bundle: Path, arch: "Arch", tags: dict[str, str], home: Path
) -> tuple[str, dict[str, str]]:
    """Log a bundle as a model of the run; returns MLflow's model id, and tags that note the files (`NOTED`).

    home: where the files are put together, before they are stored.
    """
    from mlflow.entities import LoggedModelOutput

    model = client.create_logged_model(experiment, tags["role"], source_run_id=run_id, tags=tags)
    with scratch_folder(home) as scratch:
        folder = mlflow_folder(scratch, bundle, arch, run_id, model.model_id)
        files = listing(folder)
        store_files(repository(model.artifact_location, client.tracking_uri), folder)
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    return model.model_id, {FILES: json.dumps(files, sort_keys=True), DIGEST: digest_of(files)}


def listing(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by relative path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def repository(uri: str, tracking_uri: str) -> "ArtifactRepository":
    """What reads and writes artifacts at an address; a client keeps its own by run, from whichever workspace."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(uri, tracking_uri=tracking_uri)


def store_files(target: "ArtifactRepository", folder: Path, below: str = "") -> None:
    """Store all files of a folder below a path; several at a time where each is a request to a server."""
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    if isinstance(target, LocalArtifactRepository):
        target.log_artifacts(str(folder), below or None)
        return

    def store(path: Path) -> None:
        place = PurePosixPath(below, path.parent.relative_to(folder).as_posix()).as_posix()
        target.log_artifact(str(path), None if place == "." else place)

    side_by_side(store, sorted(path for path in folder.rglob("*") if path.is_file()))


def create(client: "MlflowClient", uri: str, dataset: str, model_id: str, run_id: str, tags: dict[str, str]) -> Version:
    """Register a logged model as the next version of its dataset."""
    from mlflow.exceptions import MlflowException

    name = model_name(dataset)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    with _ambient(uri):
        return as_version(
            client.create_model_version(name, f"{_MODEL}{model_id}", run_id=run_id, tags=tags, model_id=model_id)
        )


def with_name(client: "MlflowClient", version: Version) -> Version:
    """The version, once its run is named by role (method, where it was unlearned) and number: `gold v2`."""
    made_by = version.tags.get("method", version.role) if version.role == "unlearned" else version.role
    client.update_run(version.run_id, name=f"{made_by} v{version.version}")
    return version


@contextmanager
def _ambient(uri: str) -> Iterator[None]:
    """MLflow's SQL registry looks a logged model up through the process-wide address, not the client's."""
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
