"""A purge of the data's copies in a versioned bucket: by version id, beside another project, locked, refused."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.fake_s3 import fake_s3
from tests.purge_data import People, bytes_of, erased, purged, traces, workspace_of
from tmu.errors import StorageError
from tmu.purge.place import Place
from tmu.purge.places.data import places
from tmu.purge.record import Record, write_record
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Holds
from tmu.stores import s3_versions
from tmu.workspace import Workspace

ThreadedMotoServer = pytest.importorskip("moto.server").ThreadedMotoServer
REMOTE = "DVC remote storage"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """moto's server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(url: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator["Bucket"]:
    for name, value in {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    return Bucket(url, f"bucket-{abs(hash(request.node.name))}", locks="lock" in request.node.name)


class Bucket:
    """A versioned bucket. locks: with Object Lock."""

    def __init__(self, url: str, name: str, *, locks: bool):
        self.url, self.name = url, name
        self.client: Any = boto3.client("s3", endpoint_url=url, config=Config(retries={"max_attempts": 0}))
        self.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=locks)
        self.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def settings(self, prefix: str = "dvc") -> str:
        return f'dvc_remote = "s3://{self.name}/{prefix}"\ns3_endpoint = "{self.url}"\n'

    def versions(self) -> dict[tuple[str, str], bytes | None]:
        """All versions with their bytes; None of a delete marker."""
        pages = list(self.client.get_paginator("list_object_versions").paginate(Bucket=self.name))
        found: dict[tuple[str, str], bytes | None] = {
            (each["Key"], each["VersionId"]): None for page in pages for each in page.get("DeleteMarkers", ())
        }
        for each in (each for page in pages for each in page.get("Versions", ())):
            where = {"Key": each["Key"], "VersionId": each["VersionId"]}
            found[each["Key"], each["VersionId"]] = self.client.get_object(Bucket=self.name, **where)["Body"].read()
        return found

    def delete_and_put_again(self, key: str) -> None:
        """An old version, a delete marker before it, and a newer version."""
        body = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        self.client.delete_object(Bucket=self.name, Key=key)
        self.client.put_object(Bucket=self.name, Key=key, Body=body)


def _remote(workspace: Workspace) -> Place:
    (found,) = [place for place in places(Workspace.open(workspace.root)) if place.name == REMOTE]
    return found


def _keys(workspace: Workspace, scope: Scope) -> list[str]:
    """The keys in the bucket of what the purge takes, the shard first."""
    return [trace.address.split("/", 3)[3] for trace in _remote(workspace).find(scope)]


def test_old_versions_and_delete_markers_go_and_nothing_else(bucket: Bucket, tmp_path: Path):
    workspace = workspace_of(tmp_path / "w", People(12), bucket.settings())
    workspace_of(tmp_path / "theirs", People(12, each=3, seed=5), bucket.settings())
    scope = erased(workspace, "p3")
    shard, listing = _keys(workspace, scope)
    for key in (shard, listing):
        bucket.delete_and_put_again(key)
    bucket.client.delete_object(Bucket=bucket.name, Key=shard)  # the person lies behind a marker alone
    before = bucket.versions()
    data = bytes_of(workspace.data)

    found = [trace for trace in purged(places(workspace), scope) if trace.place == REMOTE]
    gone = {(trace.address.split("/", 3)[3], trace.version) for trace in found}
    assert len(gone) == 4 + 3 and {key for key, _ in gone} == {shard, listing}
    assert bucket.versions() == {where: body for where, body in before.items() if where[0] not in (shard, listing)}
    for key, version in gone:
        with pytest.raises(ClientError) as refused:
            bucket.client.get_object(Bucket=bucket.name, Key=key, VersionId=version)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert traces(places(workspace), scope) == []

    clone = tmp_path / "clone"
    for name in (".dvc/config", "data.dvc"):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_bytes((workspace.root / name).read_bytes())
    environment = os.environ | {"DVC_SITE_CACHE_DIR": str(tmp_path / "site")}
    subprocess.run([sys.executable, "-m", "dvc", "pull", "-q"], cwd=clone, env=environment, check=True)
    assert bytes_of(clone / "data") == data


def test_a_workspace_without_its_cache_finds_and_destroys_by_the_bucket_alone(bucket: Bucket, tmp_path: Path):
    workspace = workspace_of(tmp_path / "w", People(12), bucket.settings())
    scope = erased(workspace, "p3")
    cache = workspace.root / ".dvc" / "cache" / "files"
    cache.rename(tmp_path / "away")
    key = _keys(workspace, scope)[0]
    bucket.client.delete_object(Bucket=bucket.name, Key=key)  # it is opened by its old version
    found = purged(places(Workspace.open(workspace.root)), scope)
    assert [trace.holds for trace in found] == [Holds.IMAGES, Holds.IMAGES, Holds.NAMES]
    assert key not in {name for name, _ in bucket.versions()}
    assert list(workspace.state().glob(".*building*")) == []  # what was read to look into it


def test_the_shard_that_another_projects_list_names_stays(bucket: Bucket, tmp_path: Path):
    workspace = workspace_of(tmp_path / "w", People(12), bucket.settings())
    scope = erased(workspace, "p3")
    shard, _ = _keys(workspace, scope)
    theirs = f'[{{"md5": "{"".join(shard.split("/")[-2:])}", "relpath": "a"}}]'.encode()
    bucket.client.put_object(Bucket=bucket.name, Key="dvc/files/md5/ab/" + "c" * 30 + ".dir", Body=theirs)
    before = bucket.versions()
    found = [trace for trace in purged(places(workspace), scope) if trace.place == REMOTE]
    assert [(trace.holds, trace.action) for trace in found] == [
        (Holds.IMAGES, Action.KEEP),
        (Holds.NAMES, Action.DESTROY),
    ]
    assert found[0].why == "a revision of another project in the same store names it"
    gone = before.keys() - bucket.versions().keys()
    assert gone == {(found[1].address.split("/", 3)[3], found[1].version)}
    assert [trace for trace in traces(places(workspace), scope) if trace.place == REMOTE] == found[:1]


def test_object_lock_and_legal_hold_are_respected_and_told(bucket: Bucket, tmp_path: Path):
    workspace = workspace_of(tmp_path / "w", People(12), bucket.settings())
    scope = erased(workspace, "p3")
    shard, listing = _keys(workspace, scope)
    until = datetime.now(UTC) + timedelta(days=30)
    for mode in ("GOVERNANCE", "COMPLIANCE"):
        bucket.client.put_object(
            Bucket=bucket.name, Key=shard, Body=b"x", ObjectLockMode=mode, ObjectLockRetainUntilDate=until
        )
    bucket.client.put_object(Bucket=bucket.name, Key=listing, Body=b"x", ObjectLockLegalHoldStatus="ON")
    found = [trace for trace in purged(places(workspace), scope) if trace.place == REMOTE]
    told = sorted((trace.action, trace.why, trace.until) for trace in found if trace.stays)
    day = f"{until:%Y-%m-%d}"
    assert told == [
        (Action.EXPIRE, f"Object Lock (compliance) until {day}", day),
        (Action.EXPIRE, f"Object Lock (governance) until {day}", day),
        (Action.KEEP, "a legal hold", ""),
    ]
    left = [trace for trace in traces(places(workspace), scope) if trace.place == REMOTE]
    assert sorted((trace.action, trace.why, trace.until) for trace in left) == told
    versions = {key: version for key, version in bucket.versions() if key in (shard, listing)}
    assert len(left) == 3 and set(versions) == {shard, listing}

    record = Record.of(scope).found([REMOTE], found, {}).with_(verified="2026-01-01")
    steps = tuple(step if step.trace.stays else step.acted() for step in record.steps)
    keyless = write_record(workspace, record.with_(steps=steps).scrubbed()).scope
    assert (
        not keyless.every_key and list(_remote(workspace).find(keyless)) == left
    )  # told by the record when keys are gone

    hold = {"Key": listing, "VersionId": versions[listing], "LegalHold": {"Status": "OFF"}}
    bucket.client.put_object_legal_hold(Bucket=bucket.name, **hold)
    again = [trace for trace in purged(places(workspace), scope) if trace.place == REMOTE]
    assert [trace.holds for trace in again if not trace.stays] == [Holds.NAMES]
    assert listing not in {key for key, _ in bucket.versions()}


@pytest.mark.parametrize(("fault", "said"), [("unavailable", "answered"), ("hangs", "does not answer")])
def test_a_store_that_refuses_or_hangs_is_told_and_the_next_run_completes(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, said: str
):
    monkeypatch.setattr(s3_versions, "_WAIT", {"connect": 1.0, "read": 1.0, "attempts": 2})
    workspace = workspace_of(tmp_path / "w", People(12), bucket.settings())
    scope = erased(workspace, "p3")
    found, before = list(_remote(workspace).find(scope)), bucket.versions()
    config = workspace.root / ".dvc" / "config"
    was = config.read_text()
    with fake_s3(**{fault: True}) as ill:
        config.write_text(was.replace(bucket.url, ill.url))
        place = _remote(workspace)
        started = time.monotonic()
        for call in (lambda: list(place.find(scope)), lambda: place.purge(scope, found[0])):
            with pytest.raises(StorageError, match=f"s3://{bucket.name} {said}"):
                call()
        assert time.monotonic() - started < 20
    assert bucket.versions() == before
    config.write_text(was)
    assert len(purged([_remote(workspace)], scope)) == 2
    assert bucket.versions().keys() == before.keys() - {(each.address.split("/", 3)[3], each.version) for each in found}


def test_the_parts_of_an_unfinished_upload_go(bucket: Bucket, tmp_path: Path):
    workspace = workspace_of(tmp_path / "w", People(12), bucket.settings())
    scope = erased(workspace, "p3")
    shard, _ = _keys(workspace, scope)
    for key in (shard, "dvc/theirs"):
        upload = bucket.client.create_multipart_upload(Bucket=bucket.name, Key=key)["UploadId"]
        bucket.client.upload_part(Bucket=bucket.name, Key=key, UploadId=upload, PartNumber=1, Body=b"part")
    purged(places(workspace), scope)
    left = bucket.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
    assert [each["Key"] for each in left] == ["dvc/theirs"]
    assert traces(places(workspace), scope) == []
