"""Versions in S3: found exactly, destroyed by id, locks respected, refusals told."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pydantic import SecretStr

from tests.fake_s3 import fake_s3
from tmu.errors import StorageError
from tmu.stores import s3_versions
from tmu.stores.s3_access import S3Access
from tmu.stores.s3_keys import S3Keys
from tmu.stores.s3_versions import Lock, S3Versions, Version

KEYS = S3Keys("key", SecretStr("secret"))


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """moto in this process: `versioned`, `plain`, and `locking` with Object Lock."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client = boto3.client("s3")
        for bucket in ("versioned", "plain"):
            client.create_bucket(Bucket=bucket)
        client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
        client.create_bucket(Bucket="locking", ObjectLockEnabledForBucket=True)
        yield client


def _at(bucket: str) -> S3Versions:
    return S3Versions(bucket, S3Access(None, KEYS))


def _put(client: Any, bucket: str, *keys: str) -> list[str]:
    return [client.put_object(Bucket=bucket, Key=key, Body=key.encode()).get("VersionId", "null") for key in keys]


def test_one_key_is_told_from_those_that_begin_with_it(s3: Any) -> None:
    ids = _put(s3, "versioned", "a", "a", "a/b", "ab")
    s3.delete_object(Bucket="versioned", Key="a")
    found = _at("versioned").of("a")
    assert {each.id for each in found if not each.marker} == set(ids[:2])
    assert [each.latest for each in found if each.marker] == [True]
    assert len(list(_at("versioned").under("a"))) == 5


def test_what_is_destroyed_is_not_read_by_its_old_id(s3: Any) -> None:
    _put(s3, "versioned", "a", "a", "b")
    s3.delete_object(Bucket="versioned", Key="a")
    store = _at("versioned")
    versions = store.of("a")
    assert [store.read(each) for each in versions] == [b"a", b"a", None]
    assert store.destroy(versions) == 3
    assert [store.read(each) for each in versions] == [None, None, None]
    assert store.of("a") == [] and len(store.of("b")) == 1
    assert store.destroy(versions) == 3  # gone already


def test_more_versions_than_a_page_are_all_found_and_destroyed(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = _at("versioned")
    listed = store.client.list_object_versions
    monkeypatch.setattr(store.client, "list_object_versions", lambda **given: listed(**given, MaxKeys=2))
    monkeypatch.setattr(s3_versions, "_BATCH", 2)
    _put(s3, "versioned", *["a"] * 5, "ab")
    assert len(store.of("a")) == 5 and len(list(store.under("a"))) == 6
    store.destroy(store.of("a"))
    assert [each.key for each in store.under("")] == ["ab"]


def test_a_bucket_without_versions_has_one_version_an_object(s3: Any) -> None:
    _put(s3, "plain", "a", "a", "b")
    store = _at("plain")
    assert [(each.key, each.id) for each in store.under("")] == [("a", "null"), ("b", "null")]
    store.destroy(store.of("a"))
    assert [each.key for each in store.under("")] == ["b"]


def test_locks_are_told(s3: Any) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    lock = {"ObjectLockRetainUntilDate": until}
    s3.put_object(Bucket="locking", Key="kept", Body=b"", ObjectLockMode="COMPLIANCE", **lock)
    s3.put_object(Bucket="locking", Key="ruled", Body=b"", ObjectLockMode="GOVERNANCE", **lock)
    s3.put_object(Bucket="locking", Key="held", Body=b"", ObjectLockLegalHoldStatus="ON")
    s3.put_object(Bucket="locking", Key="free", Body=b"")
    s3.delete_object(Bucket="locking", Key="free")
    store = _at("locking")
    locks = {(each.key, each.marker): store.lock(each) for each in store.under("")}
    assert locks["kept", False] == Lock("compliance", until) and locks["kept", False].closed()
    assert locks["ruled", False] == Lock("governance", until) and locks["ruled", False].closed()
    assert not locks["kept", False].closed(until + timedelta(days=1))
    assert locks["held", False] == Lock(hold=True) and locks["held", False].closed()
    assert locks["free", False] == locks["free", True] == Lock() and not Lock().closed()
    assert str(Lock("compliance", until, True)) == f"a legal hold and Object Lock (compliance) until {until:%Y-%m-%d}"


def test_no_lock_is_looked_for_where_the_bucket_has_none(s3: Any) -> None:
    _put(s3, "versioned", "a")
    store = _at("versioned")
    (version,) = store.of("a")
    assert store.lock(version) == Lock()
    store.client.head_object = None  # would fail
    assert store.lock(version) == Lock()


@pytest.mark.parametrize("mode", ["COMPLIANCE", "GOVERNANCE"])
def test_a_lock_is_not_bypassed_and_the_rest_goes(s3: Any, mode: str) -> None:
    until = datetime.now(UTC) + timedelta(days=3)
    s3.put_object(Bucket="locking", Key="a", Body=b"1", ObjectLockMode=mode, ObjectLockRetainUntilDate=until)
    s3.put_object(Bucket="locking", Key="a", Body=b"2")
    store = _at("locking")
    with pytest.raises(StorageError, match=r"s3://locking refused to delete 1 of 2 versions \(AccessDenied\)"):
        store.destroy(store.of("a"))
    assert [store.read(each) for each in store.of("a")] == [b"1"]


def test_a_bucket_that_is_not_there_is_an_error_and_not_an_empty_one(s3: Any) -> None:
    nowhere = _at("nowhere")
    for call in (
        lambda: nowhere.of("a"),
        lambda: list(nowhere.under("")),
        lambda: nowhere.lock(Version("a", "1")),
        lambda: nowhere.read(Version("a", "1")),
        lambda: nowhere.destroy([Version("a", "1")]),
    ):
        with pytest.raises(StorageError, match="s3://nowhere answered NoSuchBucket"):
            call()


@pytest.mark.parametrize(
    ("fault", "said"), [("unavailable", "answered (ServiceUnavailable|503)"), ("hangs", "not answer")]
)
def test_a_store_that_refuses_or_hangs_is_told_in_time(monkeypatch: pytest.MonkeyPatch, fault: str, said: str) -> None:
    monkeypatch.setattr(s3_versions, "_WAIT", {"connect": 0.5, "read": 0.5, "attempts": 2})
    with fake_s3(**{fault: True}) as fake:
        store = S3Versions("bucket", S3Access(fake.url, KEYS))
        started = time.monotonic()
        with pytest.raises(StorageError, match=said):
            store.of("a")
        with pytest.raises(StorageError, match=said):
            store.destroy([Version("a", "1")])
        assert time.monotonic() - started < 10


def test_an_older_store_gets_the_digest_that_it_knows() -> None:
    with fake_s3(checksums=False) as fake:
        S3Versions("bucket", S3Access(fake.url, KEYS, "when_required")).destroy([Version("a", "1")])
        assert fake.posts == [("content-md5",)]
        with pytest.raises(StorageError, match="InvalidArgument"):
            S3Versions("bucket", S3Access(fake.url, KEYS)).destroy([Version("a", "1")])
