"""`tmu doctor` tries an S3 store: does it refuse a second writer, and does it stand newer checksums?"""

import boto3
import pytest
from moto import mock_aws
from pydantic import SecretStr

from tests.fake_s3 import FakeS3, fake_s3
from tmu.check import Check
from tmu.stores.artifacts_s3 import S3Artifacts
from tmu.stores.s3_access import S3Access
from tmu.stores.s3_keys import S3Keys
from tmu.stores.s3_probe import probe

KEYS = S3Keys("key", SecretStr("secret"))


def _found(access: S3Access) -> dict[str, Check]:
    return {check.name: check for check in probe(access, "models", "team", "artifacts")}


def _at(store: FakeS3, **more: str) -> S3Access:
    return S3Access(store.url, KEYS, **more)


def test_moto_passes_and_the_probe_leaves_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        bucket = boto3.resource("s3").Bucket("models")
        bucket.create()
        boto3.client("s3").put_bucket_versioning(Bucket="models", VersioningConfiguration={"Status": "Enabled"})
        for _ in range(2):
            found = _found(S3Access(None, KEYS))
            assert {name: check.state for name, check in found.items()} == {
                "artifacts: checksums": "ok",
                "artifacts: conditional put": "ok",
            }
        assert len(list(bucket.object_versions.all())) == 1


def test_a_store_that_ignores_the_condition_fails_with_the_fix() -> None:
    with fake_s3(conditions=False) as store:
        check = _found(_at(store))["artifacts: conditional put"]
    assert check.state == "fail"
    assert "last one wins" in check.text
    assert "If-None-Match" in check.hint


@pytest.mark.parametrize("fault", [{"checksums": False}, {"garbles": True}])
def test_a_store_that_fails_on_newer_checksums_is_told_the_setting(fault: dict[str, bool]) -> None:
    with fake_s3(**fault) as store:
        (check,) = _found(_at(store)).values()
        assert check.state == "fail"
        assert "newer checksums" in check.text
        assert "when_required" in check.hint
        after = _found(_at(store, checksums="when_required"))
    assert [check.state for check in after.values()] == ["ok", "ok"]


def test_the_artifact_store_works_there_with_that_setting(tmp_path) -> None:
    with fake_s3(checksums=False) as store:
        artifacts = S3Artifacts("models", "team", _at(store, checksums="when_required"), tmp_path / "cache", tmp_path)
        with artifacts.create("audit", "k1", {"stage": "audit"}) as folder:
            (folder / "audit.json").write_text("{}")
        other = S3Artifacts("models", "team", _at(store, checksums="when_required"), tmp_path / "b", tmp_path)
        assert other.find("audit", "k1")


def test_what_cannot_be_reached_is_not_blamed_on_checksums() -> None:
    (check,) = _found(S3Access("http://127.0.0.1:9", KEYS)).values()
    assert (check.state, "checksums (" in check.text) == ("fail", False)
    assert "credentials" in check.hint


def test_a_missing_bucket_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with mock_aws():
        (check,) = _found(S3Access(None, KEYS)).values()
    assert "NoSuchBucket" in check.text
