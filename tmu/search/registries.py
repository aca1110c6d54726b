"""Which names MLflow's registry gives to weights: read from its database, or asked of its server."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine import make_url

from tmu.search.ground import Ground
from tmu.search.models import Models, versions_in
from tmu.search.passing import may_pass
from tmu.search.report import NotLookedAt

_SQL = (
    "SELECT v.name, v.version, v.source, t.value FROM model_versions v LEFT JOIN model_version_tags t "
    "ON t.name = v.name AND t.version = v.version AND t.key = 'weights_sha256' "
    "WHERE v.current_stage IS NULL OR v.current_stage <> 'Deleted_Internal'"
)


def note_versions(ground: Ground, models: Models, unread: list[NotLookedAt]) -> None:
    """Tell `models` all versions of the registry; what cannot be asked goes to `unread`."""
    try:
        for name, version, logged, weights in versions_in(_rows(ground)):
            models.note_version(name, version, logged, weights)
    except (sqlite3.Error, exc.SQLAlchemyError, OSError, ImportError) as error:
        why = f"the registry cannot be asked ({type(error).__name__})"
        passing = may_pass(error)
        unread.append(NotLookedAt(haystack="MLflow database", address="model_versions", why=why, may_pass=passing))


def _rows(ground: Ground) -> Iterator[tuple[Any, ...]]:
    settings = ground.workspace.settings
    database, uri = settings.mlflow_database, settings.mlflow_uri
    if database is not None:
        yield from _through_sql(make_url(database.get_secret_value()))
    elif uri and uri.startswith("http"):
        yield from _asked(uri, ground)
    elif uri and not uri.startswith("sqlite:"):
        yield from _through_sql(make_url(uri))
    else:
        path = Path(uri.removeprefix("sqlite:///")) if uri else ground.root / ".tmu" / "mlflow.db"
        yield from _copied(path, ground.scratch)


def _through_sql(url: sa.URL) -> Iterator[tuple[Any, ...]]:
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            yield from (tuple(row) for row in connection.exec_driver_sql(_SQL))
    finally:
        engine.dispose()


def _copied(path: Path, scratch: Path) -> Iterator[tuple[Any, ...]]:
    if not path.is_file():
        return
    copy = scratch / "registry.db"
    for suffix in ("", "-wal"):
        if Path(f"{path}{suffix}").is_file():
            shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
    with closing(sqlite3.connect(copy)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'model_versions'").fetchone():
            yield from connection.execute(_SQL)


def _asked(uri: str, ground: Ground) -> Iterator[tuple[Any, ...]]:
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    from tmu.search.haystacks.mlflow_server import told_by
    from tmu.stores.mlflow_login import log_in

    log_in(ground.workspace.settings)
    try:
        versions = told_by(MlflowClient(tracking_uri=uri), uri, ground)["versions"]
    except MlflowException as error:
        raise OSError(str(error)) from error
    for each in versions:
        yield each["name"], each["version"], each["source"], dict(each.get("tags") or {}).get("weights_sha256")
