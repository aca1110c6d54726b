"""What MLflow holds of models with certain weights.

MLflow keeps a model in four places that know little of each other: aliases, versions of the registry, logged models
with their files, and the runs that made them. Deleting a run leaves the model loadable; deleting a version leaves the
files; deleting files leaves old versions of them in S3. Each is found by its own tag `weights_sha256`, so that a purge
that was cut short goes on with what is left.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from tmu.stores import mlflow_gone
from tmu.stores.mlflow import ModelRegistry
from tmu.stores.mlflow_files import Files, Locked
from tmu.stores.mlflow_rows import Rows

if TYPE_CHECKING:
    from mlflow.entities import Experiment, LoggedModel, Run
    from mlflow.entities.model_registry import ModelVersion

Kind = Literal["alias", "version", "files", "model", "run", "locked", "marked"]
_PAGE = 1000
_EXPERIMENTS = "name LIKE 'tmu-%'"


@dataclass(frozen=True)
class Left:
    """One thing. address: `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `models:/ID`, `runs:/ID`, or of files.

    kind `marked`: MLflow's interface has marked it as deleted, and its rows cannot be reached from here. blocked: of a
    version, whether it must not be served. lock: of what is locked.
    """

    kind: Kind
    address: str
    weights: str
    role: str = ""
    blocked: bool = False
    lock: Locked | None = None


class Finder:
    """registry: the workspace's. rows: of MLflow's database; None where only its interface is reached."""

    def __init__(self, registry: ModelRegistry, files: Files, rows: Rows | None) -> None:
        self._registry, self.files, self.rows = registry, files, rows

    def find(self, weights: Collection[str]) -> Iterator[Left]:
        """All that is left of models with these weights (SHA-256): aliases first, runs and stray files last."""
        if not weights or (self.rows is not None and not self.rows.exist):
            return
        wanted, models, runs = sorted(weights), self._models(weights), self._runs(weights)
        yield from self._versions(wanted)
        for model in models:
            yield from self._files(_folder(model.artifact_location), model.tags)
            yield Left("model", f"models:/{model.model_id}", model.tags["weights_sha256"], model.tags["role"])
        yield from self._deleted_models(wanted)
        for run in runs:
            yield from self._run(run, wanted)
        yield from self._strays(wanted)

    def _versions(self, weights: list[str]) -> Iterator[Left]:
        found = [version for digest in weights for version in self._tagged(digest)]
        for version in found:
            yield from self._aliases(version)
        for version in found:
            digest, role = version.tags["weights_sha256"], version.tags.get("role", "")
            address = f"models:/{version.name}/{version.version}"
            serving = version.tags.get("serving")
            if serving != mlflow_gone.PURGED:
                yield Left("version", address, digest, role, blocked=serving == "blocked")
            elif version.name in self._out_of_reach:
                yield Left("marked", address, digest, role)
        for name, number in self.rows.deleted_versions(weights) if self.rows else ():
            yield Left("version", f"models:/{name}/{number}", "", blocked=True)

    def _tagged(self, digest: str) -> "list[ModelVersion]":
        with self._registry.connected() as client:
            return list(client.search_model_versions(f"tags.weights_sha256 = '{digest}'", max_results=10_000))

    def _aliases(self, version: "ModelVersion") -> Iterator[Left]:
        with self._registry.connected() as client:
            aliases = client.get_registered_model(version.name).aliases
        for alias, number in sorted(aliases.items()):
            if int(number) == int(version.version):
                tags = version.tags
                address = f"models:/{version.name}@{alias}"
                yield Left("alias", address, tags["weights_sha256"], tags.get("role", ""))

    def _models(self, weights: Collection[str]) -> "list[LoggedModel]":
        """Logged models with these weights, of all of our experiments."""
        return [model for digest in sorted(weights) for model in self._logged(f"tags.weights_sha256 = '{digest}'")]

    def _logged(self, condition: str | None) -> "list[LoggedModel]":
        ids = [each.experiment_id for each in self._experiments]
        found: list[LoggedModel] = []
        token: str | None = None
        with self._registry.connected() as client:
            while ids:
                page = client.search_logged_models(ids, condition, max_results=100, page_token=token)
                found, token = [*found, *page], page.token
                if not token:
                    break
        return found

    def _deleted_models(self, weights: list[str]) -> Iterator[Left]:
        for id_, location, role in self.rows.deleted_models(weights) if self.rows else ():
            yield from self._files(_folder(location), {"role": role, "weights_sha256": ""})
            yield Left("model", f"models:/{id_}", "", role)

    def _runs(self, weights: Collection[str]) -> "list[Run]":
        from mlflow.entities import ViewType

        ids = [each.experiment_id for each in self._experiments]
        with self._registry.connected() as client:
            return [
                run
                for digest in sorted(weights)
                for run in client.search_runs(ids, f"tags.weights_sha256 = '{digest}'", ViewType.ALL, _PAGE)
                if ids
            ]

    def _run(self, run: "Run", weights: list[str]) -> Iterator[Left]:
        """A run, where it made no other model; what is marked as deleted already goes with the database alone."""
        id_, tags = run.info.run_id, run.data.tags
        if self._made_others(id_, weights):
            return
        yield from self._files(_folder(run.info.artifact_uri), tags)
        marked = run.info.lifecycle_stage == "deleted" and self.rows is None
        yield Left("marked" if marked else "run", f"runs:/{id_}", tags["weights_sha256"], tags.get("role", ""))

    def _made_others(self, run_id: str, weights: list[str]) -> bool:
        with self._registry.connected() as client:
            versions = client.search_model_versions(f"run_id = '{run_id}'")
        made = [*versions, *self._logged(f"source_run_id = '{run_id}'")]
        return any(each.tags.get("weights_sha256") not in weights for each in made)

    def _files(self, folder: str, tags: dict[str, str]) -> Iterator[Left]:
        weights, role = tags["weights_sha256"], tags.get("role", "")
        free, kept = self.files.found(folder)
        if free:
            yield Left("files", folder, weights, role)
        for lock in kept:
            yield Left("locked", lock.address, weights, role, lock=lock)

    def _strays(self, weights: list[str]) -> Iterator[Left]:
        """Files of models of which MLflow has no row, such as old versions in S3 after `mlflow gc`."""
        known = self.rows.known_models() if self.rows else frozenset(each.model_id for each in self._logged(None))
        for experiment in self._experiments:
            place = experiment.artifact_location
            found = {id_: digest for id_, digest in self.files.strays(place, known) if digest in weights}
            for id_, digest in sorted(found.items()):
                yield from self._files(f"{place.rstrip('/')}/models/{id_}", {"weights_sha256": digest})

    @cached_property
    def _experiments(self) -> "list[Experiment]":
        from mlflow.entities import ViewType

        with self._registry.connected() as client:
            return list(client.search_experiments(ViewType.ALL, _PAGE, _EXPERIMENTS))

    @cached_property
    def _out_of_reach(self) -> frozenset[str]:
        """The experiments whose files' old versions cannot be seen from here; a model has its experiment's name."""
        places = {each.name: each.artifact_location for each in self._experiments}
        return frozenset(name for name, place in places.items() if not self.files.reaches_versions(place))


def _folder(location: str) -> str:
    """The folder of a model or run, whose artifacts lie in `artifacts` below it."""
    return location.rstrip("/").removesuffix("/artifacts")
