"""An MLflow server: what it tells of runs, models, versions and data, and the files that only it can reach."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from tmu.search.containers import Part
from tmu.search.ground import Found, Ground, Table, s3_client
from tmu.search.haystacks.walk import files_below
from tmu.search.passing import may_pass
from tmu.search.report import Access, NotLookedAt
from tmu.stores.mlflow_login import log_in

_ASKED = 3  # models that are looked for in a bucket
_BY_SERVER = "mlflow-artifacts:"
"""How addresses begin that the server resolves to its own store (`mlflow_destination`)."""


class MlflowServer:
    """See the module."""

    name = "MLflow server"

    def found(self, ground: Ground) -> Iterator[Found]:
        """One table a kind of thing; then the files of each run and model, unless a bucket holds them that is read."""
        uri = ground.workspace.settings.mlflow_uri
        if not uri or not uri.startswith("http"):
            return
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        log_in(ground.workspace.settings)
        client = MlflowClient(tracking_uri=uri)
        try:
            told = told_by(client, uri, ground)
            for kind, rows in told.items() if ground.tables else ():
                text = json.dumps(rows, ensure_ascii=False, default=str).encode()
                yield Table(self.name, f"{uri}/{kind}", iter([Part(inside=kind, data=text)]))
            if not ground.workspace.settings.mlflow_artifacts:
                yield from _files(told, ground, self.name, uri)
        except MlflowException as error:
            why = f"it refuses ({error.error_code})"
            yield NotLookedAt(haystack=self.name, address=uri, why=why, may_pass=may_pass(error))

    def accesses(self, ground: Ground) -> Iterator[Access]:
        """MLflow has one login, which may write."""
        uri = ground.workspace.settings.mlflow_uri
        if uri and uri.startswith("http"):
            yield Access(store="MLflow server", can_write=True, how="its one login may write")


def told_by(client: Any, uri: str, ground: Ground) -> dict[str, list[Any]]:
    """What `rows_of` gives, asked once a search."""
    if uri not in ground.told:
        ground.told[uri] = rows_of(client)
    return ground.told[uri]


def rows_of(client: Any) -> dict[str, list[Any]]:
    """All that the interface tells, JSON-ready, by kind: experiments, runs, models, versions, logged models."""
    from mlflow.entities import ViewType

    experiments = _pages(lambda token: client.search_experiments(view_type=ViewType.ALL, page_token=token))
    ids = [each.experiment_id for each in experiments]
    runs = _pages(lambda token: client.search_runs(ids, run_view_type=ViewType.ALL, page_token=token)) if ids else []
    logged = _pages(lambda token: client.search_logged_models(ids, page_token=token)) if ids else []
    return {
        "experiments": [dict(each) for each in experiments],
        "runs": [each.to_dictionary() for each in runs],
        "registered models": [
            dict(each) for each in _pages(lambda token: client.search_registered_models(page_token=token))
        ],
        "versions": [dict(each) for each in _pages(lambda token: client.search_model_versions(page_token=token))],
        "logged models": [each.to_dictionary() for each in logged],
    }


def _pages(search: Any) -> list[Any]:
    found, token = [], None
    while True:
        page = search(token)
        found += list(page)
        token = page.token
        if not token:
            return found


def _sources(told: dict[str, list[Any]], ground: Ground) -> Iterator[str]:
    """The addresses of all files but those that the server keeps in a bucket that is read itself."""
    bucket = _keeps_in_bucket(told, ground)
    found = [(f"runs:/{each['info']['run_id']}/", each["info"]["artifact_uri"]) for each in told["runs"]]
    found += [(f"models:/{each['model_id']}", each["artifact_location"]) for each in told["logged models"]]
    yield from (source for source, place in found if not (bucket and str(place).startswith(_BY_SERVER)))


def _keeps_in_bucket(told: dict[str, list[Any]], ground: Ground) -> bool:
    """Whether the bucket of the settings is the server's one store: whether files of a model there lie in it."""
    destination = ground.workspace.settings.mlflow_destination or ""
    places = [str(each["artifact_location"]) for each in told["logged models"]]
    places = [place for place in places if place.startswith(_BY_SERVER)][-_ASKED:]
    if not destination.startswith("s3://") or not places:
        return False
    bucket, _, prefix = destination.removeprefix("s3://").partition("/")
    client, _ = s3_client(ground.workspace)
    try:
        return any(
            client.list_objects_v2(
                Bucket=bucket, Prefix="/".join(filter(None, (prefix.strip("/"), urlsplit(place).path.strip("/")))) + "/"
            ).get("KeyCount")
            for place in places
        )
    except (ClientError, BotoCoreError):
        return False


def _files(told: dict[str, list[Any]], ground: Ground, name: str, uri: str) -> Iterator[Found]:
    import mlflow

    for source in _sources(told, ground):
        folder = Path(tempfile.mkdtemp(dir=ground.scratch))
        try:
            mlflow.artifacts.download_artifacts(artifact_uri=source, dst_path=str(folder), tracking_uri=uri)
            yield from files_below(folder, lambda _: name, f"{source}/")
        except (mlflow.exceptions.MlflowException, OSError) as error:
            if "not found" not in str(error).lower() and "no such" not in str(error).lower():
                why = f"its files cannot be had ({type(error).__name__})"
                yield NotLookedAt(haystack=name, address=source, why=why, may_pass=may_pass(error))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
