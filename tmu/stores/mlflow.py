"""Runs and model versions in MLflow: one experiment and one registered model, `tmu-<dataset>`, for each dataset.

Every call names its run: MLflow's ambient run is thread-local and would mix up steps that run side by side.
"""

import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tmu.errors import ModelError
from tmu.models.bundle_files import weights_digest
from tmu.provenance import git_state, lock_digest
from tmu.stores import mlflow_link, mlflow_ready, mlflow_runs, mlflow_stored, mlflow_versions
from tmu.stores.lock import locked
from tmu.stores.mlflow_versions import Version, as_version, model_name

if TYPE_CHECKING:
    from mlflow import MlflowClient

_NOT_GIVEN = {"parent": "none", "forget_set_digest": "none", "method": "none"}
_PLACE = "tmu-workspace"
_PAGE = "http://127.0.0.1:5000"
_ALIGNMENT = ["average_gap", "activation_distance", "label_agreement", "membership_auc", "rmia_auc"]
"""What tells how close a model is to the gold (docs/audit.md)."""


class ModelRegistry:
    """MLflow at `tracking_uri`, or (None) a SQLite file and a folder below `root/.tmu`.

    `artifact_root` places new experiments' artifacts; by default the server decides, or `root/.tmu/mlartifacts`, which
    no address in the SQLite file names (`mlflow_place`): the workspace may be moved and copied.
    Raises `StorageError` if MLflow refuses or does not answer.
    """

    def __init__(self, tracking_uri: str | None, root: Path, artifact_root: str | None = None) -> None:
        self.root, home = root, root.resolve() / ".tmu"
        self.embedded = tracking_uri is None
        self.uri = tracking_uri or f"sqlite:///{home / 'mlflow.db'}"
        self.artifact_root = artifact_root or (f"{_PLACE}:" if self.embedded else None)
        self._home, self._lock = home, home / "mlflow.lock"

    def register(
        self,
        bundle: Path,
        *,
        dataset: str,
        role: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        metrics: Mapping[str, float],
        data_digest: str,
        n_records: Mapping[str, int],
        parent_run: str | None = None,
        history: Sequence[Mapping[str, float]] | None = None,
    ) -> Version:
        """Log a bundle in a new run and make it a version of `tmu-<dataset>`.

        The same weights, role and data revision give the version that exists, so a retry after a crash does not
        double it; one whose stored files were changed, or that an older tmu stored with code, does not count.
        `n_records` names each split's size; `history` is one mapping for each epoch. Tags and parameters must not hold
        paths (`ConfigError`). Weights that were purged do not come back (`DataError`).
        """
        from tmu.models.bundle import load_bundle  # needs torch, and looking does not

        params = mlflow_runs.flat(params)
        mlflow_runs.refuse_paths({**tags, **params})
        _, arch, _ = load_bundle(bundle)
        key = {"role": role, "data_revision": data_digest, "weights_sha256": weights_digest(bundle)}
        with self.connected() as client, locked(self._lock):
            same = mlflow_versions.search(client, dataset, {"weights_sha256": key["weights_sha256"]})
            mlflow_stored.refuse_purged(same)
            for existing in same:
                if key.items() <= existing.tags.items() and mlflow_stored.is_sound(client, existing, self._home):
                    return mlflow_versions.with_name(client, existing)
            experiment = self.experiment_of(client, dataset)
            mlflow_runs.end_abandoned(client, experiment, key)
            all_tags = {**_NOT_GIVEN, **self._code_tags(), **tags, **key}
            run_id = mlflow_runs.start_run(client, experiment, role, all_tags, parent_run)
            with mlflow_runs.finishing(client, run_id):
                mlflow_runs.log_params(client, run_id, params)
                mlflow_runs.log_data(client, run_id, dataset, data_digest, n_records)
                model_id, files = mlflow_versions.log_model(
                    client, experiment, run_id, bundle, arch, all_tags, self._home
                )
                numbers = mlflow_runs.final_metrics(metrics, model_id)
                mlflow_runs.log_metrics(client, run_id, [*mlflow_runs.history_metrics(history or ()), *numbers])
                created = mlflow_versions.create(client, self.uri, dataset, model_id, run_id, all_tags | files)
                return mlflow_versions.with_name(client, created)

    def register_again(self, version: Version, bundle: Path) -> Version:
        """Store a bundle once more, as a new version in the run and with the tags of one whose stored files are lost.

        Raises `ModelError` if the bundle's weights are not the version's.
        """
        from tmu.models.bundle import load_bundle

        _, arch, _ = load_bundle(bundle)
        if weights_digest(bundle) != version.weights_sha256:
            raise ModelError(f"The bundle is not the model of version {version.version}.", "Name the right one.")
        tags = {name: value for name, value in version.tags.items() if name not in (*mlflow_versions.NOTED, "serving")}
        dataset = version.name.removeprefix(model_name(""))
        with self.connected() as client, locked(self._lock):
            experiment = self.experiment_of(client, dataset)
            model_id, files = mlflow_versions.log_model(
                client, experiment, version.run_id, bundle, arch, tags, self._home
            )
            return mlflow_versions.create(client, self.uri, dataset, model_id, version.run_id, tags | files)

    def find(self, uri: str) -> Version:
        """The version that `models:/NAME/VERSION` or `models:/NAME@ALIAS` names. Raises `RequestError`."""
        with self.connected() as client:
            return mlflow_stored.find(client, uri)

    @contextmanager
    def stored(self, version: Version, digest: str | None = None) -> Iterator[Path]:
        """Yield the bundle of a checked copy of a version's stored files, which then goes; see `mlflow_stored`."""
        with (
            self.connected() as client,
            mlflow_stored.stored(client, version, digest=digest, scratch=self._home) as bundle,
        ):
            yield bundle

    def versions(self, dataset: str) -> list[Version]:
        """All versions of `tmu-<dataset>`, oldest first; empty if there is none."""
        with self.connected() as client:
            return mlflow_versions.search(client, dataset, {})

    def datasets(self) -> list[str]:
        """The data sets of which models are registered."""
        with self.connected() as client:
            return mlflow_versions.datasets(client)

    def set_alias(self, dataset: str, alias: str, version: Version | int) -> None:
        """Point `@alias` (original, gold, candidate, champion, blocked) of `tmu-<dataset>` to a version."""
        number = version.version if isinstance(version, Version) else version
        with self.connected() as client:
            client.set_registered_model_alias(model_name(dataset), alias, str(number))

    def get_alias(self, dataset: str, alias: str) -> Version | None:
        """The version `@alias` points to, or None."""
        with self.connected() as client:
            from mlflow.exceptions import MlflowException

            try:
                return as_version(client.get_model_version_by_alias(model_name(dataset), alias))
            except MlflowException as error:
                if error.error_code in mlflow_link.ABSENT:
                    return None
                raise

    def block(self, dataset: str, version: Version) -> None:
        """Mark a version as not to be served any more: tag `serving` and alias `@blocked` (the last one blocked)."""
        with self.connected() as client:
            client.set_model_version_tag(version.name, str(version.version), "serving", "blocked")
        self.set_alias(dataset, "blocked", version)

    def mark_waiting(self, version: Version) -> None:
        """Mark a version that is not served yet, and from which the next deletion goes on."""
        with self.connected() as client:
            client.set_model_version_tag(version.name, str(version.version), "serving", "waits")

    def log_audit(self, version: Version, metrics: Mapping[str, float]) -> None:
        """Log final numbers to the version's run and to its model, which is what MLflow's compare page shows.

        Use the same names for original, gold and unlearned.
        """
        with self.connected() as client:
            mlflow_runs.log_metrics(client, version.run_id, mlflow_runs.final_metrics(metrics, version.model_id))

    def log_files(self, version: Version, folder: Path, artifact_path: str) -> None:
        """Copy a folder (an audit's report and figures) below `artifact_path` of the version's run."""
        with self.connected() as client:
            uri = client.get_run(version.run_id).info.artifact_uri
            mlflow_versions.store_files(mlflow_versions.repository(uri, self.uri), folder, artifact_path)

    def log_table(
        self,
        dataset: str,
        *,
        digest: str,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        data_digest: str,
        n_records: Mapping[str, int],
    ) -> str:
        """Log a table of references in a run `references` of `tmu-<dataset>`, once; returns the run's id.

        digest: of the artifact. Numbers alone are logged, no row. Parameters must not hold paths (`ConfigError`).
        """
        params, key = mlflow_runs.flat(params), {"role": "references", "references": digest}
        mlflow_runs.refuse_paths(params)
        with self.connected() as client, locked(self._lock):
            experiment = self.experiment_of(client, dataset)
            found = mlflow_runs.finished_run(client, experiment, key)
            if found:
                return found
            mlflow_runs.end_abandoned(client, experiment, key)
            tags = {**self._code_tags(), **key, "data_revision": data_digest}
            run_id = mlflow_runs.start_run(client, experiment, "references", tags, None)
            with mlflow_runs.finishing(client, run_id):
                mlflow_runs.log_params(client, run_id, params)
                mlflow_runs.log_data(client, run_id, dataset, data_digest, n_records)
                mlflow_runs.log_metrics(client, run_id, mlflow_runs.final_metrics(metrics))
            return run_id

    def start_batch(self, name: str, tags: Mapping[str, str], *, dataset: str) -> str:
        """Start the parent run of one deletion batch in `tmu-<dataset>`; returns its run id. End it with `close`."""
        mlflow_runs.refuse_paths(tags)
        with self.connected() as client, locked(self._lock):
            experiment = self.experiment_of(client, dataset)
            return mlflow_runs.start_run(client, experiment, name, {**self._code_tags(), **tags}, None)

    def close(self, run_id: str, status: str = "FINISHED") -> None:
        """End a run as FINISHED, FAILED or KILLED."""
        with self.connected() as client:
            client.set_terminated(run_id, status)

    def end_abandoned(self, dataset: str, *, but_batch: str | None = None) -> int:
        """End runs of a dataset that still say RUNNING; only while nobody is at work. Returns how many.

        but_batch: the open batch, whose own run goes on.
        """
        with self.connected() as client:
            found = client.get_experiment_by_name(model_name(dataset))
            return mlflow_runs.end_abandoned(client, found.experiment_id, {}, but_batch=but_batch) if found else 0

    def refuse_unready(self, dataset: str) -> None:
        """Raise StorageError or ConfigError for whatever would stop a deletion from being registered and promoted."""
        if self.embedded:
            mlflow_ready.refuse_locked(self.uri)
        with self.connected() as client:
            mlflow_ready.refuse_deleted_experiment(client.get_experiment_by_name(model_name(dataset)))
            mlflow_ready.refuse_bad_champion(client, dataset)
            experiment = client.get_experiment(self.experiment_of(client, dataset))
            mlflow_ready.refuse_unwritable(client, self.uri, experiment)

    def ui_command(self) -> str:
        """The shell command that opens MLflow's pages for this registry; for a server, its address."""
        if not self.embedded:
            return self.uri
        off = "MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false"  # spares seven processes
        serve = f"{shlex.quote(sys.executable)} -m mlflow server"  # works whether or not the environment is active
        return f"{off} {serve} --backend-store-uri {shlex.quote(self.uri)} --workers 1 --host 127.0.0.1"

    def compare_url_hint(self, versions: Sequence[Version]) -> str:
        """The address that shows versions of one model side by side, once the command of `ui_command` runs."""
        runs = {str(version.version): version.run_id for version in versions}
        return self._page("compare-model-versions", name=versions[0].name, runs=runs)

    def alignment_url_hint(self, versions: Sequence[Version]) -> str:
        """The address that shows how close each version is to the gold: one table a metric, one row a version."""
        with self.connected() as client:
            experiment = client.get_run(versions[0].run_id).info.experiment_id
        runs = [version.run_id for version in versions]
        keys = {"metric": _ALIGNMENT[0], "plot_metric_keys": _ALIGNMENT}
        return self._page("metric", runs=runs, experiments=[experiment], **keys)

    def _page(self, page: str, **given: Any) -> str:
        """A page of MLflow, whose parameters are JSON, in its mode for trained models (not for language models)."""
        base = _PAGE if self.embedded else self.uri.rstrip("/")
        query = "&".join(f"{key}={quote(json.dumps(value, separators=(',', ':')))}" for key, value in given.items())
        return f"{base}/#/{page}?{query}&workflowType=machine_learning"

    @cached_property
    def _connection(self) -> "MlflowClient":
        return mlflow_link.connect(self.uri, self._lock, self._home / "mlflow.db" if self.embedded else None)

    @contextmanager
    def connected(self) -> "Iterator[MlflowClient]":
        """Yield MLflow's own client; its refusals become `StorageError`."""
        with mlflow_link.refusals():
            yield self._connection

    def experiment_of(self, client: "MlflowClient", dataset: str) -> str:
        found = client.get_experiment_by_name(model_name(dataset))
        if found is not None:
            return found.experiment_id
        place = f"{self.artifact_root.rstrip('/')}/{model_name(dataset)}" if self.artifact_root else None
        return client.create_experiment(model_name(dataset), artifact_location=place)

    def _code_tags(self) -> dict[str, str]:
        state = git_state(self.root)
        return {
            "git_commit": state["commit"],
            "git_branch": state["branch"],
            "git_dirty": state["dirty"],
            "lock_digest": lock_digest(),
        }
