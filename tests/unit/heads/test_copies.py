"""Copies of the tombstones in the bucket of the heads: one a state of the file, locked, behind a delete marker, too."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tmu.errors import ConfigError, DataError, StorageError
from tmu.heads.places import s3_heads
from tmu.settings import Settings
from tmu.steps.copy_tombstones import copied_tombstones, copy_tombstones
from tmu.suppression.tombstones import Erased, Tombstones
from tmu.workspace import Workspace

KEY = "a" * 32


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        made = boto3.client("s3")
        made.create_bucket(Bucket="heads", ObjectLockEnabledForBucket=True)
        yield made


@pytest.fixture
def workspace(tmp_path: Path, client: Any) -> Workspace:
    made = Workspace.create(tmp_path / "w")
    made.settings = Settings(heads_s3="s3://heads/ledger")
    return made


def remember(workspace: Workspace, request: str) -> None:
    fields = {"key_id": "k", "before": "1.dir", "after": "2.dir", "records": (KEY,), "subjects": ()}
    Tombstones.of(workspace).add(Erased(request=request, **fields))


def test_each_state_of_the_file_is_copied_once_and_locked(workspace: Workspace, client: Any) -> None:
    assert copy_tombstones(workspace) is None
    remember(workspace, "r1")
    assert [copy_tombstones(workspace).lines for _ in range(2)] == [1, 1]
    remember(workspace, "r2")
    copied = copy_tombstones(workspace)
    assert (copied.lines, copied.error) == (2, None)
    versions = client.list_object_versions(Bucket="heads")["Versions"]
    assert len(versions) == 2
    head = client.head_object(Bucket="heads", Key=versions[0]["Key"])
    assert head["ObjectLockMode"] == "COMPLIANCE"
    for each in versions:
        assert KEY.encode() not in client.get_object(Bucket="heads", Key=each["Key"])["Body"].read()
    assert s3_heads(workspace).held() == []  # they are no heads


def test_the_copy_is_there_when_the_file_is_not_and_behind_a_delete_marker(workspace: Workspace, client: Any) -> None:
    for request in ("r1", "r2"):
        remember(workspace, request)
        copy_tombstones(workspace)
    for each in client.list_objects_v2(Bucket="heads")["Contents"]:
        client.delete_object(Bucket="heads", Key=each["Key"])
    Tombstones.of(workspace).path.unlink()
    assert [line.request for line in copied_tombstones(workspace)] == ["r1", "r2"]


def test_a_copy_that_was_changed_is_refused(workspace: Workspace, client: Any) -> None:
    remember(workspace, "r1")
    text = Tombstones.of(workspace).path.read_bytes().replace(b"r1", b"r7")
    client.put_object(Bucket="heads", Key=f"ledger/tombstones/{2:012d}-{'0' * 64}.jsonl", Body=text + text)
    with pytest.raises(DataError, match="does not follow"):
        copied_tombstones(workspace)


def test_without_a_bucket_or_a_copy_it_is_said(workspace: Workspace) -> None:
    with pytest.raises(StorageError, match="no copy"):
        copied_tombstones(workspace)
    workspace.settings = Settings(heads_s3="s3://absent/ledger")
    remember(workspace, "r1")
    assert copy_tombstones(workspace).error == "s3_NoSuchBucket"  # and nothing is raised
    workspace.settings = Settings()
    assert copy_tombstones(workspace) is None
    with pytest.raises(ConfigError, match="heads_s3"):
        copied_tombstones(workspace)
