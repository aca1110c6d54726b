"""Bundles in S3: written once, locked; fetched in pieces by a pull that survives kill -9; refused with the reason."""

import hashlib
import os
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.unit.evidence.test_documents_of_evidence import made
from tmu.config import ModelConfig
from tmu.errors import RequestError, StorageError
from tmu.evidence.manifest import manifest_bytes
from tmu.evidence.sums import SUMS, check_sums, write_sums
from tmu.files import sha256_file, write_atomic
from tmu.refs import ModelRef
from tmu.steps.pull import links, pull
from tmu.stores.evidence import LocalEvidence, S3Evidence, evidence_store
from tmu.stores.source import PIECE
from tmu.workspace import Workspace

ID, BIG = "0" * 16, 5 * PIECE
pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def s3(endpoint: str) -> Any:
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1"
    )
    client.create_bucket(Bucket="evidence", ObjectLockEnabledForBucket=True)
    client.create_bucket(Bucket="models")
    return client


@pytest.fixture
def workspace(endpoint: str, s3: Any, tmp_path: Path) -> Workspace:
    """With evidence and artifacts in S3, under a prefix of its own, and one sealed bundle with a model."""
    root, mark = tmp_path / "w", secrets.token_hex(4)
    Workspace.create(root)
    (root / "tmu.toml").write_text(
        f'evidence = "s3://evidence/{mark}"\nartifacts = "s3://models/{mark}"\ns3_endpoint = "{endpoint}"\n'
        's3_access_key = "k"\ns3_secret_key = "s"\nevidence_lock = "governance"\n'
    )
    found = Workspace.open(root)
    keep(found, model_of(found))
    return found


def model_of(workspace: Workspace) -> ModelRef:
    """An artifact that is large enough to be cut short."""
    with workspace.artifacts.create("model", "m", {"stage": "unlearned"}) as folder:
        (folder / "weights.safetensors").write_bytes(secrets.token_bytes(BIG))
        (folder / "arch.json").write_text("{}")
    folder = workspace.artifacts.find("model", "m")
    weights = sha256_file(folder / "weights.safetensors")
    return ModelRef(uri="model/m", digest=sha256_file(folder / "manifest.json"), weights=weights, role="unlearned")


def keep(workspace: Workspace, model: ModelRef, request: str = ID, start: str | None = None) -> Path:
    """start: SHA-256 of the weights that the model's training started from."""
    folder, said = workspace.state("evidence", request), made()
    params = said.case.params.model_copy(update={"model": ModelConfig(init_sha256=start)})
    case = said.case.model_copy(update={"params": params})
    manifest = said.model_copy(update={"case": case, "made": said.made.model_copy(update={"unlearned": model})})
    write_atomic(folder / "manifest.json", manifest_bytes(manifest))
    write_atomic(folder / "report.html", b"<p>an audit</p>" * 1000)
    write_sums(folder)
    store = evidence_store(folder.parent, workspace.settings)
    store.keep(request, folder, ["manifest.json", "report.html", SUMS])
    return folder


def test_what_is_stored_is_locked_and_never_overwritten(workspace: Workspace, s3: Any) -> None:
    url, folder = workspace.settings.evidence, workspace.state("evidence", ID)
    store = evidence_store(folder.parent, workspace.settings)
    assert isinstance(store, S3Evidence)
    store.keep(ID, folder, [SUMS])  # the same bytes once more
    key = f"{url.rpartition('/')[2]}/{ID}/report.html"
    head = s3.head_object(Bucket="evidence", Key=key)
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert head["ObjectLockRetainUntilDate"] > datetime.now(UTC) + timedelta(days=1000)
    with pytest.raises(ClientError):
        s3.delete_object(Bucket="evidence", Key=key, VersionId=head["VersionId"])
    write_atomic(folder / "report.html", b"another audit")
    with pytest.raises(StorageError, match="nothing was overwritten"):
        store.keep(ID, folder, ["report.html"])
    assert s3.get_object(Bucket="evidence", Key=key)["Body"].read().startswith(b"<p>an audit")


def test_a_pull_brings_bundle_and_weights(workspace: Workspace, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    found = pull(workspace, ID, tmp_path / "p", lambda done, total: told.append((done, total)))
    assert check_sums(tmp_path / "p") == 2 and found.model == "" and found.resumed == 0
    assert sha256_file(tmp_path / "p/model/weights.safetensors") == sha256_file(
        workspace.artifacts.find("model", "m") / "weights.safetensors"
    )
    assert told[-1][0] == told[-1][1] == sum(found.files.values()) and len(told) > 5
    assert not list((tmp_path / "p").rglob("*.part"))


def test_the_weights_that_training_started_from_come_along(workspace: Workspace, tmp_path: Path) -> None:
    content = secrets.token_bytes(1000)
    sha256 = hashlib.sha256(content).hexdigest()
    model = workspace.artifacts.find("model", "m")
    ref = made().made.unlearned.model_copy(update={"uri": "model/m", "digest": sha256_file(model / "manifest.json")})
    keep(workspace, ref, "3333", sha256)
    found = pull(workspace, "3333", tmp_path / "a")
    assert f"no kept copy of the weights with SHA-256 {sha256}" in found.start and found.model == ""
    assert not (tmp_path / "a/start").exists()
    with workspace.artifacts.create("start", sha256, {"stage": "start", "sha256": sha256}) as folder:
        (folder / "weights.safetensors").write_bytes(content)
    found = pull(workspace, "3333", tmp_path / "b")
    assert (tmp_path / "b/start/weights.safetensors").read_bytes() == content and found.start == ""
    assert "start/weights.safetensors" in {each.name for each in links(workspace, "3333", 60)}
    assert "start/weights.safetensors" not in pull(workspace, ID, tmp_path / "c").files  # it started from none


def test_a_killed_pull_goes_on_where_it_stopped(workspace: Workspace, tmp_path: Path) -> None:
    to, child = tmp_path / "p", Path(__file__).with_name("pull_child.py")
    command = [sys.executable, str(child), str(workspace.root), ID, str(to), str(3 * PIECE)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run(command, env=environment, timeout=120, check=False).returncode == -9
    (part,) = to.rglob("*.part")
    left = part.stat().st_size
    assert 0 < left < BIG
    found = pull(workspace, ID, to)
    assert found.resumed >= left
    assert found.files["model/weights.safetensors"] == BIG and check_sums(to) == 2
    assert pull(workspace, ID, to).resumed == sum(found.files.values())  # once more: nothing is fetched


def test_a_damaged_rest_is_fetched_from_the_beginning(workspace: Workspace, tmp_path: Path) -> None:
    to = tmp_path / "p"
    pull(workspace, ID, to)
    (to / "report.html").unlink()
    (to / ".report.html.part").write_bytes(b"x" * 500)
    pull(workspace, ID, to)
    assert check_sums(to) == 2


def test_what_the_store_holds_is_checked(workspace: Workspace, s3: Any, tmp_path: Path) -> None:
    key = f"{workspace.settings.evidence.rpartition('/')[2]}/{ID}/report.html"
    s3.put_object(Bucket="evidence", Key=key, Body=b"forged")  # a new version: the lock keeps the old one alone
    with pytest.raises(StorageError, match="not the file that the bundle names"):
        pull(workspace, ID, tmp_path / "p")
    assert not (tmp_path / "p/report.html").exists()


def test_links_open_without_a_key(workspace: Workspace) -> None:
    found = {each.name: each for each in links(workspace, ID, 60)}
    assert {"report.html", SUMS, "model/weights.safetensors"} <= set(found)
    address = found["report.html"].address
    assert "Expires" in address
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert answer.read().startswith(b"<p>an audit")


def test_each_refusal_says_why(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no bundle of request 1111"):
        pull(workspace, "1111", tmp_path / "a")
    with pytest.raises(RequestError, match="no id"):
        pull(workspace, "../x", tmp_path / "a")
    workspace.state("evidence", "2222").mkdir()
    with pytest.raises(RequestError, match="not sealed"):
        pull(workspace, "2222", tmp_path / "a")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    with pytest.raises(StorageError, match="not empty"):
        pull(workspace, ID, tmp_path / "full")
    workspace.artifacts.remove("model/m")
    found = pull(workspace, ID, tmp_path / "b")
    assert "not handed out" in found.model and "model/weights.safetensors" not in found.files


def test_a_model_that_was_replaced_is_not_handed_out(workspace: Workspace, tmp_path: Path) -> None:
    model = made().made.unlearned
    weights = sha256_file(workspace.artifacts.find("model", "m") / "weights.safetensors")
    record = f'{{"version": 2, "weights": "{model.weights}", "blocked": ["{weights}"]}}'
    write_atomic(workspace.state("versions", "serving-digits.json"), record.encode())
    assert "a later deletion has replaced" in pull(workspace, ID, tmp_path / "p").model


def test_no_access_is_told_from_no_bundle(endpoint: str, workspace: Workspace, tmp_path: Path) -> None:
    from tests.integration.denying import denying

    with denying() as address:
        settings = workspace.settings.model_copy(update={"s3_endpoint": address})
        with pytest.raises(StorageError, match="no access"):
            pull(Workspace(workspace.root, settings), ID, tmp_path / "p")


def test_on_one_machine_files_are_read_only_and_there_are_no_links(tmp_path: Path) -> None:
    Workspace.create(tmp_path / "w")
    local = Workspace.open(tmp_path / "w")
    folder = keep(local, model_of(local))
    assert isinstance(evidence_store(folder.parent, local.settings), LocalEvidence)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o400}
    pull(local, ID, tmp_path / "p")
    assert check_sums(tmp_path / "p") == 2
    with pytest.raises(RequestError, match="no links"):
        links(local, ID, 60)
