"""Heads in S3: written once, locked where the bucket can, read from the versions; said plainly where it cannot lock."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pydantic import SecretStr

from tests.fake_s3 import fake_s3
from tmu.errors import StorageError
from tmu.heads.s3_lock import S3Heads
from tmu.ledger.log import Head
from tmu.stores.s3_access import S3Access
from tmu.stores.s3_keys import S3Keys

ACCESS = S3Access(None, S3Keys("key", SecretStr("secret")))
HEADS = [Head(9, "a" * 64), Head(10, "b" * 64), Head(110, "c" * 64)]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        made = boto3.client("s3", aws_access_key_id="key", aws_secret_access_key="secret")
        made.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        made.create_bucket(Bucket="plain")
        yield made


def _now() -> datetime:
    return datetime.now(UTC)


def test_heads_are_locked_and_read_back_in_order(client: Any) -> None:
    place = S3Heads("s3://locked/ledger", ACCESS, days=30)
    for head in reversed(HEADS):
        assert place.note(head, _now()).error is None
    assert [each.head for each in place.held()] == HEADS
    (key, *_) = (one["Key"] for one in client.list_objects_v2(Bucket="locked")["Contents"])
    kept = client.head_object(Bucket="locked", Key=key)
    assert kept["ObjectLockMode"] == "COMPLIANCE"
    assert timedelta(days=29) < kept["ObjectLockRetainUntilDate"] - _now() < timedelta(days=31)


def test_a_head_is_written_once(client: Any) -> None:
    place = S3Heads("s3://locked/ledger", ACCESS, days=30)
    for _ in range(2):
        assert place.note(HEADS[0], _now()).error is None
    assert len(client.list_object_versions(Bucket="locked")["Versions"]) == 1


def test_a_delete_marker_hides_nothing(client: Any) -> None:
    place = S3Heads("s3://locked", ACCESS, days=30)
    place.note(HEADS[0], _now())
    (version,) = client.list_object_versions(Bucket="locked")["Versions"]
    client.delete_object(Bucket="locked", Key=version["Key"])  # what a lock does not prevent
    assert "Contents" not in client.list_objects_v2(Bucket="locked")
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.delete_object(Bucket="locked", Key=version["Key"], VersionId=version["VersionId"])
    assert [each.head for each in place.held()] == [HEADS[0]]


def test_one_prefix_is_one_ledger_and_other_objects_are_left_alone(client: Any) -> None:
    place = S3Heads("s3://plain/a", ACCESS, days=30)
    place.note(HEADS[0], _now())
    S3Heads("s3://plain/ab", ACCESS, days=30).note(HEADS[1], _now())
    client.put_object(Bucket="plain", Key="a/readme.txt", Body=b"")
    assert [each.head for each in place.held()] == [HEADS[0]]


def test_more_heads_than_a_page_of_a_listing(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
    place = S3Heads("s3://plain/a", ACCESS, days=30)
    for number in range(1, 8):
        client.put_object(Bucket="plain", Key=f"a/{number:018d}-{'d' * 64}.json", Body=b"")
    assert [each.seq for each in place.held()] == list(range(1, 8))


def test_a_bucket_without_lock_takes_heads_but_is_said_to_have_none(client: Any) -> None:
    place = S3Heads("s3://plain/ledger", ACCESS, days=30)
    assert place.note(HEADS[0], _now()).error is None
    found = {check.name: check for check in place.check()}
    assert found["S3 bucket plain: lock"].state == "warn"
    assert "no Object Lock" in found["S3 bucket plain: lock"].text
    locked = {check.name: check for check in S3Heads("s3://locked", ACCESS, days=30).check()}
    assert {check.state for check in locked.values()} == {"ok"}
    assert "30 days (compliance)" in locked["S3 bucket locked: lock"].text


def test_a_bucket_that_is_away_is_tried_again(client: Any) -> None:
    answer = S3Heads("s3://absent", ACCESS, days=30).note(HEADS[0], _now())
    assert (answer.error, answer.down, answer.final) == ("s3_NoSuchBucket", True, False)
    nowhere = S3Heads("s3://locked", S3Access("http://127.0.0.1:9", ACCESS.keys), days=30)
    assert nowhere.note(HEADS[0], _now()).error == "unreachable"
    with pytest.raises(StorageError, match="S3 bucket locked does not answer"):
        nowhere.held()


def test_an_unclear_answer_about_locks_is_no_answer() -> None:
    with fake_s3() as store:
        place = S3Heads("s3://plain", S3Access(store.url, ACCESS.keys), days=30)
        with pytest.raises(StorageError):
            place.check()
