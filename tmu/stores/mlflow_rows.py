"""The rows behind MLflow's interface, reached by its database: what is deleted there is gone, not marked as deleted.

MLflow's own `mlflow gc` is not used: with a list of runs it also takes every logged model and experiment that anybody
has marked as deleted. Here each row is named. Rows of runs and models are deleted by the methods of MLflow's store that
`gc` itself calls; the rest (links to datasets, what a deleted version leaves) those methods do not know.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tmu.stores import mlflow_gone, mlflow_link

if TYPE_CHECKING:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

_SECONDS = 60
_SQLITE = "sqlite:///"


class Rows:
    """The database at a SQLAlchemy address. All methods raise StorageError where it refuses."""

    def __init__(self, uri: str) -> None:
        self._sqlite = uri.startswith(_SQLITE)
        self._file = Path(uri.removeprefix(_SQLITE).partition("?")[0]) if self._sqlite else None
        # an engine of its own: the pages that it frees are overwritten
        self._uri = f"{uri}{'&' if '?' in uri else '?'}timeout={_SECONDS}" if self._sqlite else uri

    @property
    def exist(self) -> bool:
        """Whether there is a database; a SQLite file is not made by looking."""
        return self._file is None or self._file.exists()

    def deleted_versions(self, digests: Collection[str]) -> list[tuple[str, int]]:
        """Versions that MLflow's interface does not show any more, and whose tags still name one of these weights."""
        rows = self._all(
            "SELECT v.name, v.version FROM model_versions v JOIN model_version_tags t ON t.workspace = v.workspace AND "
            "t.name = v.name AND t.version = v.version WHERE v.current_stage = 'Deleted_Internal' AND "
            "t.key = 'weights_sha256' AND t.value IN :digests AND v.source NOT LIKE :gone ORDER BY v.name, v.version",
            digests=list(digests),
            gone=f"{mlflow_gone.PLACE}%",
        )
        return [(name, int(number)) for name, number in rows]

    def deleted_models(self, digests: Collection[str]) -> list[tuple[str, str, str]]:
        """Id, address and role of logged models that are marked as deleted, of these weights."""
        rows = self._all(
            "SELECT m.model_id, m.artifact_location, m.name FROM logged_models m JOIN logged_model_tags t ON "
            "t.model_id = m.model_id WHERE m.lifecycle_stage = 'deleted' AND t.tag_key = 'weights_sha256' AND "
            "t.tag_value IN :digests ORDER BY m.model_id",
            digests=list(digests),
        )
        return [tuple(row) for row in rows]

    def known_models(self) -> frozenset[str]:
        """The ids of all logged models, those too that are marked as deleted."""
        return frozenset(row[0] for row in self._all("SELECT model_id FROM logged_models"))

    def delete_model(self, model_id: str) -> None:
        """Delete a logged model with its tags, parameters, metrics and links."""
        self._delete_links([model_id])
        with mlflow_link.refusals(), mlflow_link.absent_is_fine():
            self._store._hard_delete_logged_model(model_id)

    def delete_run(self, run_id: str) -> None:
        """Delete a run with its tags, parameters, metrics and links, and the dataset rows that it alone named."""
        self._delete_links([run_id])
        with mlflow_link.refusals(), mlflow_link.absent_is_fine():
            self._store._hard_delete_run(run_id)

    def bury(self, name: str, number: int, ours: dict[str, str]) -> None:
        """Leave of a version its row, with no file, no run, the tags in `KEPT` and ours. One transaction."""
        here = {"name": name, "number": number}
        said = {"gone": mlflow_gone.address_of(name, number), "said": mlflow_gone.sentence(name, number, ours)}
        with self._writing() as connection:
            _run(connection, _BURY, **here, **said)
            _run(connection, f"DELETE FROM registered_model_aliases WHERE {_OF}", **here)
            _run(connection, f"DELETE FROM model_version_tags WHERE {_OF} AND key NOT IN :kept", **here, kept=_KEPT)
            for key, value in ours.items():
                _run(connection, _TAG, **here, key=key, value=value)

    def compact(self) -> None:
        """Rewrite a SQLite file, so that no page of it holds what was deleted. PostgreSQL's tables are vacuumed."""
        with mlflow_link.refusals(), self._engine.connect() as connection:
            plain = connection.execution_options(isolation_level="AUTOCOMMIT")
            plain.exec_driver_sql("VACUUM" if self._sqlite else f"VACUUM {', '.join(_TOUCHED)}")

    def _delete_links(self, ids: Sequence[str]) -> None:
        """Delete the links from and to runs or models, and the dataset rows that nothing else links to."""
        with self._writing() as connection:
            mine = "source_id IN :ids OR destination_id IN :ids"
            datasets = _run(
                connection, f"SELECT source_id FROM inputs WHERE source_type = 'DATASET' AND ({mine})", ids=ids
            )
            named = list({row[0] for row in datasets})
            _run(
                connection,
                f"DELETE FROM input_tags WHERE input_uuid IN (SELECT input_uuid FROM inputs WHERE {mine})",
                ids=ids,
            )
            _run(connection, f"DELETE FROM inputs WHERE {mine}", ids=ids)
            if named:
                linked = "SELECT source_id FROM inputs WHERE source_type = 'DATASET'"
                _run(
                    connection,
                    f"DELETE FROM datasets WHERE dataset_uuid IN :ids AND dataset_uuid NOT IN ({linked})",
                    ids=named,
                )

    def _all(self, query: str, **lists: Any) -> list[Any]:
        with mlflow_link.refusals(), self._engine.connect() as connection:
            return _run(connection, query, **lists)

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with mlflow_link.refusals(), self._engine.begin() as connection:
            yield connection

    @property
    def _engine(self) -> sa.Engine:
        return self._store.engine

    @cached_property
    def _store(self) -> "SqlAlchemyStore":
        mlflow_link.quiet()
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        with mlflow_link.refusals():
            store = SqlAlchemyStore(self._uri, "mlflow-artifacts:/")
            if self._sqlite:
                sa.event.listen(store.engine, "connect", _overwrite)
                store.engine.dispose()  # so that its connections are made anew
        return store


_OF = "name = :name AND version = :number"
_BURY = (
    "UPDATE model_versions SET source = :gone, storage_location = :gone, run_id = NULL, run_link = NULL, "
    f"user_id = NULL, description = :said WHERE {_OF}"
)
_TAG = (
    "INSERT INTO model_version_tags (workspace, name, version, key, value) "
    f"SELECT workspace, name, version, :key, :value FROM model_versions WHERE {_OF}"
)
_KEPT = sorted(mlflow_gone.KEPT - {"serving", mlflow_gone.AT, mlflow_gone.BY})  # those are written anew
_TOUCHED = (
    "runs", "tags", "params", "metrics", "latest_metrics", "logged_models", "logged_model_tags", "logged_model_params",
    "logged_model_metrics", "inputs", "input_tags", "datasets", "model_versions", "model_version_tags",
)  # fmt: skip


def _overwrite(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA secure_delete = ON")


def _run(connection: sa.Connection, statement: str, **lists: Any) -> list[Any]:
    """Carry out a statement; each list is expanded to as many parameters. Returns the rows of a query."""
    prepared = sa.text(statement)
    for name, value in lists.items():
        if isinstance(value, list):
            prepared = prepared.bindparams(sa.bindparam(name, expanding=True))
    result = connection.execute(prepared, lists)
    return list(result) if result.returns_rows else []
