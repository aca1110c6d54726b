"""Purge of MLflow behind a server: through its interface alone, and with its database and its versioned bucket."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import torch
from botocore.exceptions import ClientError
from mlflow.store.artifact.s3_artifact_repo import _cached_get_s3_client

from infra.stack import moto, s3, secret_file
from infra.stack.place import Stack
from infra.stack.ports import next_free
from tests.mlflow_tools import mlflow_server
from tests.purge_tools import erased, scope
from tmu.errors import DataError, StorageError
from tmu.models.bundle import Arch, save_bundle
from tmu.purge.places.mlflow import places
from tmu.purge.scope import Scope
from tmu.settings import Settings
from tmu.stores.mlflow_versions import Version
from tmu.workspace import Workspace

pytest.importorskip("moto.server")
pytestmark = pytest.mark.slow
ARCH = Arch("small_resnet", (1, 8, 8), ("a", "b", "c"), {"width": 4})
BUCKET = "tmu-mlflow"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Any]]:
    """A versioned bucket, and a client of its owner."""
    home = tmp_path_factory.mktemp("moto")
    secret_file.ensure(home, s3="moto", first_port=next_free(24100))
    stack = Stack.open(home)
    (server,) = moto.servers(stack)
    environment, nowhere = {**stack.environment("s3"), **server.environment}, subprocess.DEVNULL
    process = subprocess.Popen(server.command, env=environment, cwd=server.folder, stdout=nowhere, stderr=nowhere)
    deadline = time.monotonic() + 60
    while server.probe() is not None and time.monotonic() < deadline:
        time.sleep(0.2)
    yield stack, s3.client(stack)
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="module")
def server(bucket: tuple[Stack, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The addresses of an MLflow server, and of its database; it keeps artifacts in the bucket."""
    settings, home = bucket[0].settings, tmp_path_factory.mktemp("server")
    keys = {"AWS_ACCESS_KEY_ID": settings.s3_access_key, "MLFLOW_S3_ENDPOINT_URL": settings.s3_endpoint}
    keys |= {"AWS_SECRET_ACCESS_KEY": settings.s3_secret_key.get_secret_value(), "AWS_DEFAULT_REGION": "us-east-1"}
    with mlflow_server(home, destination=f"s3://{BUCKET}", more=keys) as url:
        yield url, f"sqlite:///{home}/mlflow.db"


def workspace_of(server: tuple[str, str], stack: Stack, root: Path, **settings: Any) -> Workspace:
    """A workspace on the server. settings: what it knows of the server beside its address."""
    s3_access = stack.settings.model_dump(include={"s3_endpoint", "s3_access_key", "s3_secret_key"})
    made = Workspace.create(root)
    return Workspace(made.root, Settings(mlflow_uri=server[0], **s3_access, **settings))


def registered(workspace: Workspace, dataset: str, seed: int, role: str) -> Version:
    folder = workspace.root.parent / f"bundle{seed}"
    torch.manual_seed(seed)
    save_bundle(folder, ARCH.build(), ARCH, {"seed": seed})
    facts = {"params": {}, "tags": {}, "metrics": {"seconds": 1.0}, "n_records": {"train": 10}}
    return workspace.registry.register(folder, dataset=dataset, role=role, data_digest="0.dir", **facts)


def of(client: Any, id_: str) -> list[tuple[str, str]]:
    """Key and id of all versions and markers of a model's or run's files."""
    found = client.list_object_versions(Bucket=BUCKET)
    both = [*found.get("Versions", ()), *found.get("DeleteMarkers", ())]
    return [(each["Key"], each["VersionId"]) for each in both if f"/{id_}/" in each["Key"]]


def purge(workspace: Workspace, scope: Scope) -> list[tuple[str, str]]:
    """Purge, twice each; what is left, with what becomes of it."""
    place, _ = places(workspace)
    for trace in list(place.find(scope)):
        if not trace.stays:
            place.purge(scope, trace)
            place.purge(scope, trace)
    return [(trace.address, trace.action.value) for trace in place.find(scope)]


def about(workspace: Workspace, version: Version) -> Scope:
    return scope(erased(workspace)).model_copy(update={"learned": (version.weights_sha256,)})


def test_with_database_and_bucket_all_versions_go(server, bucket, tmp_path: Path) -> None:
    stack, client = bucket
    knows = {"mlflow_database": server[1], "mlflow_destination": f"s3://{BUCKET}"}
    workspace = workspace_of(server, stack, tmp_path / "w", **knows)
    old, new = registered(workspace, "all", 0, "original"), registered(workspace, "all", 1, "unlearned")
    workspace.registry.log_files(old, tmp_path / "bundle0", "audit")
    before, others = of(client, old.model_id), of(client, new.model_id)
    assert len(before) >= 7 and len(of(client, old.run_id)) == 3
    (weights,) = [each for each in before if each[0].endswith("weights.safetensors")]
    client.delete_object(Bucket=BUCKET, Key=weights[0])  # as `mlflow gc` does: a marker, and the old version behind it
    assert client.get_object(Bucket=BUCKET, Key=weights[0], VersionId=weights[1])["Body"].read()
    assert purge(workspace, about(workspace, old)) == []
    assert of(client, old.model_id) == of(client, old.run_id) == [] and of(client, new.model_id) == others != []
    with pytest.raises(ClientError) as gone:
        client.get_object(Bucket=BUCKET, Key=weights[0], VersionId=weights[1])
    assert gone.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    raw = Path(server[1].removeprefix("sqlite:///")).read_bytes()
    assert [raw.count(id_.encode()) for id_ in (old.model_id, old.run_id)] == [0, 0]
    with workspace.registry.stored(new) as stored:
        assert (stored / "weights.safetensors").is_file()
    with pytest.raises(DataError, match="tmu-all, version 1, was purged"):
        workspace.registry.stored(workspace.registry.find("models:/tmu-all/1")).__enter__()


def test_files_that_gc_left_behind_markers_are_found(server, bucket, tmp_path: Path) -> None:
    stack, client = bucket
    knows = {"mlflow_database": server[1], "mlflow_destination": f"s3://{BUCKET}"}
    workspace = workspace_of(server, stack, tmp_path / "w", **knows)
    old = registered(workspace, "gc", 2, "original")
    request = about(workspace, old)
    place, _ = places(workspace)
    for trace in list(place.find(request)):
        if trace.address.startswith(("models:", "runs:")):
            place.purge(request, trace)
    for key, _ in of(client, old.model_id):
        client.delete_object(Bucket=BUCKET, Key=key)
    (left,) = [trace.address for trace in place.find(request)]
    assert left.endswith(f"/models/{old.model_id}")
    assert purge(workspace, request) == [] and of(client, old.model_id) == []


def test_a_legal_hold_is_told_and_not_bypassed(server, bucket, tmp_path: Path) -> None:
    stack, client = bucket
    client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    knows = {"mlflow_artifacts": "s3://locked/mlflow", "mlflow_database": server[1]}
    workspace = workspace_of(server, stack, tmp_path / "w", **knows)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in workspace_keys(stack).items():
            patch.setenv(name, value)
        _cached_get_s3_client.cache_clear()  # MLflow's clients outlive the keys of another test's server
        old = registered(workspace, "held", 3, "original")
    found = client.list_object_versions(Bucket="locked")["Versions"]
    (held,) = [each for each in found if each["Key"].endswith("weights.safetensors")]
    hold = {"Bucket": "locked", "Key": held["Key"], "VersionId": held["VersionId"]}
    client.put_object_legal_hold(**hold, LegalHold={"Status": "ON"})
    request = about(workspace, old)
    assert purge(workspace, request) == [(f"s3://locked/{held['Key']}", "expire")]
    (trace,) = places(workspace)[0].find(request)
    assert (trace.version, trace.why, trace.until) == (held["VersionId"], "a legal hold", "")
    assert [each["Key"] for each in client.list_object_versions(Bucket="locked")["Versions"]] == [held["Key"]]
    client.put_object_legal_hold(**hold, LegalHold={"Status": "OFF"})
    assert purge(workspace, request) == []


def workspace_keys(stack: Stack) -> dict[str, str]:
    settings = stack.settings
    return {
        "AWS_ACCESS_KEY_ID": settings.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": settings.s3_secret_key.get_secret_value(),
        "AWS_DEFAULT_REGION": "us-east-1",
        "MLFLOW_S3_ENDPOINT_URL": settings.s3_endpoint,
    }


def test_through_the_interface_alone_the_rest_is_declared(server, bucket, tmp_path: Path) -> None:
    stack, client = bucket
    workspace = workspace_of(server, stack, tmp_path / "w")
    old, new = registered(workspace, "rest", 4, "original"), registered(workspace, "rest", 5, "unlearned")
    workspace.registry.set_alias("rest", "original", old)
    request = about(workspace, old)
    left = purge(workspace, request)
    assert left == [("models:/tmu-rest/1", "expire"), (f"runs:/{old.run_id}", "expire")]
    why = {trace.why for trace in places(workspace)[0].find(request)}
    assert len(why) == 1 and "mlflow gc" in why.pop()
    found = client.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert not any(old.model_id in each["Key"] for each in found) and of(client, old.model_id)
    with pytest.raises(StorageError, match="not found"), workspace.registry.connected() as mlflow:
        mlflow.get_logged_model(old.model_id)
    with pytest.raises(DataError, match="tmu-rest, version 1, was purged"):
        workspace.registry.stored(workspace.registry.find("models:/tmu-rest/1")).__enter__()
    assert workspace.registry.get_alias("rest", "original") is None
    with workspace.registry.stored(new) as stored:
        assert (stored / "weights.safetensors").is_file()


def test_rows_in_postgresql_go_and_others_stay(database: str, bucket, tmp_path: Path) -> None:
    stack, _ = bucket
    settings = {"mlflow_database": database, "mlflow_destination": str(tmp_path / "stored")}
    with mlflow_server(tmp_path, database=database) as url:
        workspace = workspace_of((url, database), stack, tmp_path / "w", **settings)
        old, new = registered(workspace, "pg", 6, "original"), registered(workspace, "pg", 7, "unlearned")
        workspace.registry.set_alias("pg", "original", old)
        assert purge(workspace, about(workspace, old)) == []
        assert not any((tmp_path / "stored").rglob(old.model_id)) and any((tmp_path / "stored").rglob(new.model_id))
        with workspace.registry.stored(new) as stored:
            assert (stored / "weights.safetensors").is_file()
        assert [each.purged for each in workspace.registry.versions("pg")] == [True, False]
        with pytest.raises(DataError, match="tmu-pg, version 1, was purged"):
            workspace.registry.stored(workspace.registry.find("models:/tmu-pg/1")).__enter__()
    engine = sa.create_engine(database)
    with engine.connect() as connection:
        for table, column in (("runs", "run_uuid"), ("logged_models", "model_id"), ("inputs", "destination_id")):
            values = set(connection.execute(sa.text(f"SELECT {column} FROM {table}")).scalars())
            assert not values & {old.run_id, old.model_id} and values & {new.run_id, new.model_id}
        tags = connection.execute(sa.text("SELECT key FROM model_version_tags WHERE version = 1")).scalars()
        assert "files" not in set(tags)
    engine.dispose()
