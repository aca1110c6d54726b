"""S3: old versions, delete markers, names, metadata, unfinished uploads; and the versions of before are asked for."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from safetensors.numpy import save

from bench.erasure.planted import PERSON
from tests.unit.search.conftest import KEYS, PLANTED, RECORDS, shard, strangers
from tmu.data.digest import md5_file
from tmu.data.info import shard_path
from tmu.data.shards import ShardTable, write_shard
from tmu.search.ground import Ground
from tmu.search.haystacks import mlflow_server
from tmu.search.haystacks import s3 as store_of_objects
from tmu.search.haystacks.s3 import Buckets, places_of
from tmu.search.needles import Needles
from tmu.search.report import By, Learned, Outcome, SearchReport
from tmu.search.run import Task
from tmu.search.search import search, survey
from tmu.search.sought import Given, needles_of
from tmu.settings import Settings
from tmu.workspace import Workspace

KEY = KEYS.subject(PERSON).encode()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="store")
        client.put_bucket_versioning(Bucket="store", VersioningConfiguration={"Status": "Enabled"})
        yield client


@pytest.fixture
def stored(workspace: Workspace, s3: Any) -> Workspace:
    return Workspace(workspace.root, Settings(artifacts="s3://store/artifacts", dvc_remote="s3://store/dvc"))


def at(workspace: Workspace, needles: Needles, **task: Any) -> SearchReport:
    return search(workspace, Task(needles, **task))[0]


def test_an_old_version_behind_a_delete_marker_is_found(stored: Workspace, needles: Needles, s3: Any) -> None:
    version = s3.put_object(Bucket="store", Key="dvc/a", Body=b"x" + KEY)["VersionId"]
    s3.put_object(Bucket="store", Key="dvc/a", Body=b"rewritten")
    s3.delete_object(Bucket="store", Key="dvc/a")
    (hit,) = at(stored, needles).left
    assert (hit.haystack, hit.address, hit.version, hit.by) == ("DVC remote", "s3://store/dvc/a", version, By.KEY)
    s3.delete_object(Bucket="store", Key="dvc/a", VersionId=version)
    report = at(stored, needles)
    assert (report.outcome, report.left) == (Outcome.PASS, ())
    assert {each.name: each.things for each in report.haystacks}["DVC remote"] == 2  # the rewritten one and the marker


def test_names_of_objects_and_markers_and_metadata_are_read(stored: Workspace, needles: Needles, s3: Any) -> None:
    named = f"artifacts/{KEY.decode()}"
    s3.put_object(Bucket="store", Key=named, Body=b"")
    s3.delete_object(Bucket="store", Key=named)
    s3.put_object(Bucket="store", Key="artifacts/c", Body=b"1", Metadata={"who": PERSON})
    found = [(hit.address, hit.by) for hit in at(stored, needles).left]
    assert found == [("s3://store/artifacts/KEY", By.KEY)] * 2 + [("s3://store/artifacts/c", By.ID)]


def test_a_live_shard_with_a_picture_that_looks_alike_is_nothing_that_must_go(
    stored: Workspace, needles: Needles, s3: Any
) -> None:
    """It is somebody else's, and stays: the search before must not have the one after ask whether it is gone."""
    write_shard(shard_path(stored.data, 1), shard(["like"], ["dora"], PLANTED[:1]))
    content = shard_path(stored.data, 1).read_bytes()
    s3.put_object(Bucket="store", Key="dvc/files/md5/ab/c", Body=content)
    report, inventory = search(stored, Task(needles))
    assert {hit.by for hit in report.left} & {By.PIXELS, By.NEAR} and inventory.holders == ()
    report = at(stored, needles, before=inventory)
    assert (report.outcome, report.left, report.old_versions) == (Outcome.PASS, (), ())


def test_the_search_after_asks_for_the_versions_of_before(stored: Workspace, needles: Needles, s3: Any) -> None:
    first = s3.put_object(Bucket="store", Key="artifacts/a", Body=KEY)["VersionId"]
    s3.delete_object(Bucket="store", Key="artifacts/a")
    report, inventory = search(stored, Task(needles))
    assert [each.version for each in inventory.holders] == [first]
    shutil.rmtree(stored.root / "out", ignore_errors=True)
    elsewhere = Workspace(stored.root, Settings(artifacts="s3://store/other"))  # the listing no longer shows it
    report = at(elsewhere, needles, before=inventory)
    assert (report.outcome, report.left, [each.answer for each in report.old_versions]) == (
        Outcome.FAILED,
        (),
        ["there"],
    )
    s3.delete_object(Bucket="store", Key="artifacts/a", VersionId=first)
    report = at(elsewhere, needles, before=inventory)
    assert (report.outcome, [each.gone for each in report.old_versions]) == (Outcome.PASS, [True])


def test_the_inventory_alone_is_that_of_a_whole_search(
    stored: Workspace, planted_shard: ShardTable, tmp_path: Path, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shard(tmp_path / "shard", planted_shard)
    identity = {"stage": "gold", "data": "0" * 32 + ".dir", "forget": "", "original": ""}
    weights = save({"fc.weight": np.zeros((2, 2), np.float32)})
    files = {"weights.safetensors": hashlib.sha256(weights).hexdigest()}
    model = {"weights.safetensors": weights, "manifest.json": json.dumps({"identity": identity, "files": files})}
    for name, content in model.items():
        s3.put_object(Bucket="store", Key=f"artifacts/model/a/{name}", Body=content)
    s3.put_object(Bucket="store", Key="dvc/files/md5/aa/bb", Body=(tmp_path / "shard").read_bytes())
    s3.put_object(Bucket="store", Key="artifacts/x", Body=KEYS.record(RECORDS[7]).encode())
    s3.delete_object(Bucket="store", Key="artifacts/x")
    write_shard(shard_path(stored.data, 1), shard(["like"], ["dora"], PLANTED[:1]))
    (stored.root / "copy.safetensors").write_bytes(weights)
    (stored.root / "empty").touch()
    task = Task(needles_of(stored, Given(subjects=(PERSON,))))
    _, whole = search(stored, task)
    assert whole.holders and whole.models and whole.alike and whole.needles.pictures  # all that it may tell
    fetched: list[str] = []
    real = store_of_objects._fetched

    def counted(client: Any, bucket: str, each: dict[str, Any], path: Path) -> str:
        fetched.append(each["Key"])
        return real(client, bucket, each, path)

    monkeypatch.setattr(store_of_objects, "_fetched", counted)
    alone = survey(stored, task)
    assert alone.model_copy(update={"taken": whole.taken}) == whole
    assert "artifacts/x" in fetched
    assert "artifacts/model/a/weights.safetensors" not in fetched  # the listing tells that its bytes lie here


def test_a_version_that_went_since_it_was_listed_is_worth_another_search(
    stored: Workspace, needles: Needles, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    went = s3.put_object(Bucket="store", Key="artifacts/a", Body=b"x" * (2 << 20))["VersionId"]
    real = store_of_objects._fetched

    def fetched(*given: Any) -> str:
        s3.delete_object(Bucket="store", Key="artifacts/a", VersionId=went)
        return real(*given)

    monkeypatch.setattr(store_of_objects, "_fetched", fetched)
    report = at(stored, needles)
    assert [each.may_pass for each in report.unanswered] == [True]
    assert at(stored, needles).outcome is Outcome.PASS


def test_a_version_of_which_the_store_does_not_say_that_it_is_gone_is_no_pass(
    stored: Workspace, needles: Needles, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put_object(Bucket="store", Key="artifacts/a", Body=KEY)
    inventory = search(stored, Task(needles))[1]
    monkeypatch.setattr("tmu.search.run.answer_of", lambda *_: "403")
    report = at(Workspace(stored.root, Settings()), needles, before=inventory)
    assert report.outcome is Outcome.FAILED


def test_rows_of_an_old_shard_in_the_remote_tell_the_records(
    stored: Workspace, planted_shard: ShardTable, tmp_path: Path, s3: Any
) -> None:
    path = tmp_path / "shard"
    write_shard(path, planted_shard)
    s3.put_object(Bucket="store", Key="dvc/files/md5/aa/bb", Body=path.read_bytes())
    erased = {"erased": tuple(sorted(map(KEYS.record, RECORDS))), "erased_subjects": (KEYS.subject(PERSON),)}
    write_shard(path, shard(["v"], ["vera"], strangers(1), **erased))
    s3.put_object(Bucket="store", Key="dvc/files/md5/aa/bb", Body=path.read_bytes())
    s3.put_object(Bucket="store", Key="artifacts/x", Body=KEYS.record(RECORDS[7]).encode())
    report = at(stored, needles_of(stored, Given(subjects=(PERSON,))))
    assert {(hit.address, hit.by) for hit in report.left} == {
        ("s3://store/artifacts/x", By.KEY),
        ("s3://store/dvc/files/md5/aa/bb", By.KEY),
        ("s3://store/dvc/files/md5/aa/bb", By.PIXELS),
    }


def test_an_unfinished_upload_and_a_bucket_that_cannot_be_listed_are_said(
    stored: Workspace, needles: Needles, s3: Any
) -> None:
    s3.create_multipart_upload(Bucket="store", Key="dvc/big")
    report = at(stored, needles)
    assert (report.outcome, [each.why for each in report.not_looked_at]) == (Outcome.UNKNOWN, ["an unfinished upload"])
    report = at(Workspace(stored.root, Settings(artifacts="s3://absent/x")), needles)
    assert [each.why for each in report.not_looked_at] == ["the store answered NoSuchBucket"]


def test_trying_to_write_changes_nothing(stored: Workspace, s3: Any, tmp_path: Path) -> None:
    s3.put_object(Bucket="store", Key="dvc/a", Body=b"1")
    before = s3.list_object_versions(Bucket="store")
    (access,) = Buckets().accesses(Ground(stored, tmp_path))
    assert access.can_write is True  # nobody refuses here
    after = s3.list_object_versions(Bucket="store")
    assert before["Versions"] == after["Versions"]
    assert "DeleteMarkers" not in after


def test_the_auditors_key_is_used_where_it_is_set(workspace: Workspace, tmp_path: Path) -> None:
    from tmu.search.ground import s3_client

    auditors = Settings(s3_read_key="R", s3_read_secret="r", s3_access_key="W", s3_secret_key="w")
    client, named = s3_client(Workspace(workspace.root, auditors))
    assert (client._request_signer._credentials.access_key, named) == ("R", "s3_read_key")


def test_a_prefix_within_another_is_listed_once(workspace: Workspace, tmp_path: Path) -> None:
    settings = Settings(artifacts="s3://store/a/b", dvc_remote="s3://store/a", mlflow_artifacts="s3://store/ab")
    found = [place for _, place in places_of(Ground(Workspace(workspace.root, settings), tmp_path))]
    assert sorted(found) == [("store", "a"), ("store", "ab")]


def test_a_forget_set_in_s3_is_known_by_its_folder(
    stored: Workspace, planted_shard: ShardTable, needles: Needles, tmp_path: Path, s3: Any
) -> None:
    """There the manifest lies above the folder that is called by its digest."""
    write_shard(tmp_path / "shard", planted_shard)
    shard_md5 = md5_file(tmp_path / "shard")
    s3.upload_file(str(tmp_path / "shard"), "store", f"dvc/files/md5/{shard_md5[:2]}/{shard_md5[2:]}")
    (tmp_path / "listing").write_text(json.dumps([{"md5": shard_md5, "relpath": "shards/00.parquet"}]))
    s3.upload_file(str(tmp_path / "listing"), "store", "dvc/files/md5/aa/listing.dir")
    forget = json.dumps({"kind": "forget", "identity": {}, "files": {}}).encode()
    digest = hashlib.sha256(forget).hexdigest()
    s3.put_object(Bucket="store", Key="artifacts/forget/k/manifest.json", Body=forget)
    records = json.dumps({"records": sorted(map(KEYS.record, RECORDS))}).encode()
    s3.put_object(Bucket="store", Key=f"artifacts/forget/k/{digest}/forget.json", Body=records)
    weights = save({"a.weight": np.ones(3, np.float32)})
    identity = {"stage": "gold", "data": f"{md5_file(tmp_path / 'listing')}.dir", "forget": digest}
    files = {"weights.safetensors": hashlib.sha256(weights).hexdigest()}
    gold = json.dumps({"kind": "model", "identity": identity, "files": files}).encode()
    s3.put_object(Bucket="store", Key="artifacts/model/k/manifest.json", Body=gold)
    s3.put_object(Bucket="store", Key="artifacts/model/k/x/weights.safetensors", Body=weights)
    (model,) = at(stored, needles).models
    assert (model.learned, model.source) == (Learned.NO, "it was trained without the forget set")


@pytest.mark.parametrize(("small", "fetches"), [(1 << 20, 4), (-1, 6)])
def test_a_small_version_is_fetched_once_for_both_looks(
    stored: Workspace, needles: Needles, s3: Any, monkeypatch: pytest.MonkeyPatch, small: int, fetches: int
) -> None:
    fetched: list[tuple[str, str]] = []
    real = store_of_objects._fetched

    def counted(client: Any, bucket: str, each: dict[str, Any], path: Path) -> str:
        fetched.append((each["Key"], each["VersionId"]))
        return real(client, bucket, each, path)

    monkeypatch.setattr(store_of_objects, "_fetched", counted)
    monkeypatch.setattr(store_of_objects, "_SMALL", small)
    write_shard(shard_path(stored.data, 1), shard(["like"], ["dora"], PLANTED[:1]))
    for content in (shard_path(stored.data, 1).read_bytes(), b"x" + KEY, b"", shard_path(stored.data, 1).read_bytes()):
        s3.put_object(Bucket="store", Key="dvc/a", Body=content, Metadata={"who": PERSON})
    report = at(stored, needles)
    assert {each.name: each.things for each in report.haystacks}["DVC remote"] == 4
    assert len([hit for hit in report.left if hit.by is By.ID]) == 4  # what the store tells beside the bytes
    assert len([hit for hit in report.left if hit.by is By.KEY]) == 1
    assert (len(set(fetched)), len(fetched)) == (4, fetches)  # the two shards are looked at twice


def test_files_of_an_mlflow_server_are_read_where_they_lie(stored: Workspace, s3: Any, tmp_path: Path) -> None:
    """In the server's bucket, if it is that; whatever lies elsewhere is had from the server."""
    told = {
        "runs": [
            {"info": {"run_id": "one", "artifact_uri": "mlflow-artifacts:/1/one/artifacts"}},
            {"info": {"run_id": "two", "artifact_uri": "s3://elsewhere/1/two/artifacts"}},
        ],
        "logged models": [{"model_id": "m", "artifact_location": "mlflow-artifacts:/1/models/m/artifacts"}],
    }
    ground = Ground(Workspace(stored.root, Settings(mlflow_destination="s3://store/mlflow")), tmp_path)
    assert [*mlflow_server._sources(told, ground)] == ["runs:/one/", "runs:/two/", "models:/m"]  # another bucket
    s3.put_object(Bucket="store", Key="mlflow/1/models/m/artifacts/MLmodel", Body=b"x")
    assert [*mlflow_server._sources(told, ground)] == ["runs:/two/"]
    nowhere = Ground(Workspace(stored.root, Settings()), tmp_path)
    assert [*mlflow_server._sources(told, nowhere)] == ["runs:/one/", "runs:/two/", "models:/m"]


def failing(monkeypatch: pytest.MonkeyPatch, name: str, times: int, status: int) -> None:
    """The first calls of a function of the haystack are answered so by the store."""
    real, left = getattr(store_of_objects, name), [times]

    def called(*arguments: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            answer = {"Error": {"Code": str(status)}, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(answer, "GetObject")
        return real(*arguments)

    monkeypatch.setattr(store_of_objects, name, called)


@pytest.mark.parametrize(("status", "again"), [(503, True), (403, False)])
def test_what_only_the_second_look_could_read_is_looked_at_again(
    stored: Workspace, needles: Needles, s3: Any, monkeypatch: pytest.MonkeyPatch, status: int, again: bool
) -> None:
    """The first look learns revisions and pictures: where the store was away, the second one knows too little."""
    s3.put_object(Bucket="store", Key="dvc/a", Body=b"x" * 9)
    monkeypatch.setattr(store_of_objects, "_SMALL", 0)
    failing(monkeypatch, "_may_tell", 1, status)
    report = at(stored, needles)
    assert (report.outcome is Outcome.UNKNOWN, len(report.unanswered)) == (again, int(again))
    assert at(stored, needles).outcome is Outcome.PASS


def test_a_store_that_does_not_say_whether_a_version_is_gone_is_asked_again(
    stored: Workspace, needles: Needles, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = s3.put_object(Bucket="store", Key="artifacts/a", Body=KEY)["VersionId"]
    inventory = search(stored, Task(needles))[1]
    s3.delete_object(Bucket="store", Key="artifacts/a", VersionId=first)
    client = boto3.client("s3")
    answer = {"Error": {"Code": "503"}, "ResponseMetadata": {"HTTPStatusCode": 503}}

    def away(**_: Any) -> None:
        raise ClientError(answer, "HeadObject")

    with monkeypatch.context() as patch:
        patch.setattr(client, "head_object", away)
        patch.setattr("tmu.search.run.s3_client", lambda _: (client, ""))
        report = at(stored, needles, before=inventory)
    assert (report.outcome, report.old_versions, len(report.unanswered)) == (Outcome.UNKNOWN, (), 1)
    assert at(stored, needles, before=inventory).outcome is Outcome.PASS


def test_an_inventory_is_added_to_where_the_store_was_away(
    stored: Workspace, needles: Needles, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What went between the two searches is asked for, too."""
    first = s3.put_object(Bucket="store", Key="artifacts/a", Body=KEY)["VersionId"]
    monkeypatch.setattr(store_of_objects, "_SMALL", 0)
    with monkeypatch.context() as patch:
        failing(patch, "_may_tell", 1, 503)
        earlier = search(stored, Task(needles))[1]
    assert len(earlier.unanswered) == 1
    s3.delete_object(Bucket="store", Key="artifacts/a", VersionId=first)
    second = s3.put_object(Bucket="store", Key="artifacts/b", Body=KEY)["VersionId"]
    found = search(stored, Task(needles, before=earlier))[1].with_earlier(earlier)
    assert ([each.version for each in found.holders], found.unanswered) == ([first, second], ())
