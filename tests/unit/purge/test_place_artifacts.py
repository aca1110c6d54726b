"""Artifacts in a folder and in a versioned bucket: every version goes, by id; rules and locks are respected."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.purge_tools import erased, scope
from tmu import manifest
from tmu.config import PurgeConfig, Retention
from tmu.deletion.deletion import Deletion
from tmu.errors import StorageError
from tmu.lineage.learners import learners
from tmu.lineage.revisions import Held
from tmu.purge.in_service import WHY, WHY_ELSEWHERE, in_service
from tmu.purge.places.artifacts import Artifacts
from tmu.purge.trace import Action, Trace
from tmu.stores.artifacts_s3 import S3Artifacts
from tmu.stores.purged import PurgedError
from tmu.stores.s3_versions import S3Versions
from tmu.workspace import Workspace

GOLD = {"stage": "gold", "data": "0.dir", "forget": "f"}  # of an earlier deletion
RULE = Retention(role="gold", days=30, why="The contract of the customer asks for it.")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A versioned bucket that can lock."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="store", ObjectLockEnabledForBucket=True)
        yield client


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    if request.param == "s3":
        request.getfixturevalue("bucket")
        monkeypatch.setenv("TMU_ARTIFACTS", "s3://store/tmu")
    return Workspace.create(tmp_path / "w")


@pytest.fixture
def in_s3(bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("TMU_ARTIFACTS", "s3://store/tmu")
    return Workspace.create(tmp_path / "w")


def made(workspace: Workspace, key: str, weights: str = "weights") -> tuple[str, str]:
    """Address and digest of a gold."""
    with workspace.artifacts.create("model", key, GOLD, {"seconds_total": 3}) as folder:
        (folder / "weights.safetensors").write_text(weights)
    held = next(each for each in workspace.artifacts.manifests("model") if each.uri == f"model/{key}")
    return held.uri, held.digest


def purged(workspace: Workspace, deletion: Deletion, **of: Any) -> list[Trace]:
    """What is there after every trace was acted on twice."""
    asked, artifacts = scope(deletion, **of), Artifacts(workspace)
    for trace in list(artifacts.find(asked)) * 2:
        if not trace.stays:
            artifacts.purge(asked, trace)
    return list(artifacts.find(asked))


def versions(workspace: Workspace, prefix: str = "") -> list[str]:
    store = workspace.artifacts
    return [each.key for each in store.versions.under(prefix)] if isinstance(store, S3Artifacts) else []


def test_what_is_in_the_scope_goes_whole_and_the_rest_stays(place):
    deletion, (gone, digest), (other, theirs) = erased(place), made(place, "a"), made(place, "ab", "others")
    assert purged(place, deletion, artifacts=(gone,)) == []
    assert not versions(place, "tmu/model/a/") and place.artifacts.find("model", "a") is None
    assert place.artifacts.fetch(other, theirs)
    assert not [path for path in place.state().rglob("*") if path.parent.name == "a"]
    with pytest.raises(PurgedError, match=deletion.id):
        place.artifacts.fetch(gone, digest)
    note = place.artifacts.purged.find(gone)
    assert (note.manifest["identity"], note.run) == (GOLD, {"seconds_total": 3})


def test_an_artifact_that_is_made_again_is_found_in_spite_of_its_purge_note(place):
    deletion, (uri, digest) = erased(place), made(place, "a")
    purged(place, deletion, artifacts=(uri,))
    assert made(place, "a") == (uri, digest) and place.artifacts.fetch(uri, digest)
    assert purged(place, deletion, artifacts=(uri,)) == []


def test_a_rule_keeps_a_model_and_says_until_when(place):
    deletion, (uri, digest) = erased(place, PurgeConfig(keep=(RULE,))), made(place, "a")
    left = purged(place, deletion, artifacts=(uri,))
    assert left and {(trace.action, trace.why) for trace in left} == {(Action.KEEP, RULE.why)}
    assert all(trace.until > f"{datetime.now(UTC):%Y-%m-%d}" for trace in left)
    assert place.artifacts.fetch(uri, digest) and not in_service(left)


def test_what_serves_and_learned_them_stays_under_no_rule_until_another_serves(place, monkeypatch):
    deletion, (uri, digest) = erased(place), made(place, "a")
    weights = place.artifacts.manifests("model")[0].manifest["files"]["weights.safetensors"]
    monkeypatch.setattr("tmu.purge.places.artifacts.served", lambda workspace: {weights})
    left = purged(place, deletion, learned=(weights,), spared=(weights,))
    assert left and in_service(left) == left
    assert place.artifacts.fetch(uri, digest)
    monkeypatch.setattr("tmu.purge.places.artifacts.served", lambda workspace: {"another"})
    assert purged(place, deletion, learned=(weights,), spared=(weights,)) == []
    with pytest.raises(PurgedError):
        place.artifacts.fetch(uri, digest)


@pytest.mark.parametrize("readable", [False, True])
def test_what_serves_another_data_set_stays_and_holds_the_purge_up_if_it_learned_them(place, monkeypatch, readable):
    deletion, (uri, digest) = erased(place), made(place, "a")
    weights = place.artifacts.manifests("model")[0].manifest["files"]["weights.safetensors"]
    monkeypatch.setattr("tmu.purge.places.artifacts.served_elsewhere", lambda workspace: {weights})
    monkeypatch.setattr("tmu.lineage.revisions.Revisions._read", lambda *_: Held() if readable else None)
    left = purged(place, deletion, learned=(weights,))
    assert place.artifacts.fetch(uri, digest)
    assert left and {trace.why for trace in left} == {WHY if readable else WHY_ELSEWHERE}
    assert in_service(left) == (left if readable else [])


def test_what_a_model_said_that_learned_them_goes_also_where_it_was_asked_since_the_scope_was_made(place):
    deletion = erased(place)
    for key, weights in (("a", "learned"), ("b", "free")):
        with place.artifacts.create("answers", key, {"stage": "answers", "model": weights}) as folder:
            (folder / "answers.safetensors").write_text("said")
    assert purged(place, deletion, learned=("learned",)) == []
    assert [held.uri for held in place.artifacts.manifests("answers")] == ["answers/b"]


def test_old_versions_that_nothing_refers_to_go_and_an_upload_stays(in_s3, bucket):
    deletion = erased(in_s3)
    uri, _ = made(in_s3, "a")
    for each in bucket.list_objects_v2(Bucket="store", Prefix=f"tmu/{uri}/")["Contents"]:
        bucket.delete_object(Bucket="store", Key=each["Key"])  # as other tools delete
    bucket.put_object(Bucket="store", Key="tmu/model/b/0/weights.safetensors", Body=b"under way")
    bucket.put_object(Bucket="store", Key="tmu/forget/c/manifest.json", Body=b"")
    bucket.delete_object(Bucket="store", Key="tmu/forget/c/manifest.json")
    in_s3.artifacts.cache.remove(uri)
    assert versions(in_s3, f"tmu/{uri}/")
    assert purged(in_s3, deletion) == []
    assert not versions(in_s3, f"tmu/{uri}/")
    assert versions(in_s3, "tmu/model/b/") and len(versions(in_s3, "tmu/forget/c/")) == 2  # keys go last, elsewhere


def test_what_was_half_removed_before_the_erasure_goes(in_s3, bucket, monkeypatch):
    bucket.put_object(Bucket="store", Key="tmu/model/b/0/weights.safetensors", Body=b"half")
    monkeypatch.setattr(S3Artifacts, "stored_at", lambda self, key: datetime.now(UTC) - timedelta(days=1))
    assert purged(in_s3, erased(in_s3)) == [] and not versions(in_s3, "tmu/model/")


def test_a_locked_version_is_told_and_not_forced(in_s3, bucket):
    deletion, (uri, _) = erased(in_s3), made(in_s3, "a")
    key = next(key for key in versions(in_s3, f"tmu/{uri}/") if key.endswith("weights.safetensors"))
    until = datetime.now(UTC) + timedelta(days=9)
    bucket.put_object_retention(Bucket="store", Key=key, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until})
    (trace,) = purged(in_s3, deletion, artifacts=(uri,))
    assert (trace.address, trace.action, trace.until) == (key, Action.EXPIRE, f"{until:%Y-%m-%d}")
    assert "compliance" in trace.why


def test_a_probe_of_the_store_leaves_no_version(in_s3):
    in_s3.artifacts.refuse_unwritable()
    assert versions(in_s3) == []


def test_the_folder_of_a_stage_goes_and_no_other(place):
    deletion = erased(place)
    for name in ("original", "unlearned"):
        folder = place.root / "out" / name
        folder.mkdir(parents=True)
        (folder / "weights.safetensors").write_text(name)
        manifest.seal(folder, "model", GOLD)
    known = {each.address: each.weights for each in learners(place)}
    assert known.keys() == {"file:out/original", "file:out/unlearned"}
    assert purged(place, deletion, learned=(known["file:out/original"],)) == []
    assert [path.name for path in (place.root / "out").iterdir()] == ["unlearned"]


def test_no_folder_outside_of_the_stages_is_touched(place):
    deletion = erased(place)
    for uri in ("file:data", "file:out", "file:out/../data"):
        with pytest.raises(StorageError, match="no stage"):
            purged(place, deletion, artifacts=(uri,))


def test_a_store_that_does_not_answer_is_told(in_s3, monkeypatch):
    deletion, (uri, _) = erased(in_s3), made(in_s3, "a")

    def away(self: S3Versions, prefix: str) -> Iterator[object]:
        raise StorageError("The bucket does not answer.", "Start it.")
        yield

    monkeypatch.setattr(S3Versions, "under", away)
    with pytest.raises(StorageError, match="does not answer"):
        purged(in_s3, deletion, artifacts=(uri,))
