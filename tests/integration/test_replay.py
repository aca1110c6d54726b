"""Replay: before the purge equal bytes, three of three by command, Prefect and DVC; after it, the truth."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.integration.conftest import make_workspace
from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.files import read_json, sha256_file
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow
PEOPLE = [f"contributor-{number:03d}" for number in range(40, 48)]
TMU = str(Path(sys.executable).parent / "tmu")


def call(root: Path, *command: str, code: int = 0) -> str:
    """A command as a user types it, in a process of its own."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
    for name in ("TMU_HOME", "PREFECT_API_URL"):
        environment.pop(name, None)
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def replayed(workspace: Workspace, deletion: Deletion, code: int = 0) -> dict[str, object]:
    """What `tmu replay` says of a deletion."""
    return json.loads(call(workspace.root, TMU, "replay", deletion.id, "--json", code=code))


@pytest.fixture(scope="module")
def deleted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Deletion]:
    """A workspace after a deletion that purged nothing yet."""
    workspace = make_workspace(
        tmp_path_factory.mktemp("replay") / "w", audit={"golds": False}, references={"pairs": 2}, purge={"act": False}
    )
    subjects = [workspace.keys(simulated=True).subject(name) for name in PEOPLE]
    (workspace.root / "request.json").write_text(json.dumps({"subject_keys": subjects, "record_keys": []}))
    call(workspace.root, TMU, "delete", "--file", "request.json", "--yes")
    (deletion,) = Journal(workspace).all()
    return workspace, deletion


def test_a_fresh_process_computes_the_same_bytes(deleted: tuple[Workspace, Deletion]) -> None:
    workspace, deletion = deleted
    found = replayed(workspace, deletion)
    assert (found["state"], found["differences"], found["gone"]) == ("equal", [], [])
    assert found["weights"] == deletion.unlearned.weights
    assert not any(workspace.state("replays").glob("*"))  # nothing of it stays


def test_nothing_of_the_first_model_is_used(deleted: tuple[Workspace, Deletion]) -> None:
    """The recorded model is out of the store: what is found equal was computed."""
    workspace, deletion = deleted
    kind, _, key = deletion.unlearned.uri.partition("/")
    folder = workspace.artifacts.folder(kind, key)
    folder.rename(folder.with_name("aside"))
    try:
        found = replayed(workspace, deletion)
    finally:
        folder.with_name("aside").rename(folder)
    assert (found["state"], found["weights"]) == ("equal", deletion.unlearned.weights)


def test_a_run_of_prefect_computes_the_same_bytes(
    prefect_server: dict[str, str], deleted: tuple[Workspace, Deletion]
) -> None:
    from flows.replay import replay_flow

    workspace, deletion = deleted
    found = replay_flow(request=deletion.id, home=str(workspace.root))
    assert (found["state"], found["weights"]) == ("equal", deletion.unlearned.weights)


@pytest.mark.drill
def test_dvc_computes_the_same_bytes(deleted: tuple[Workspace, Deletion], tmp_path: Path) -> None:
    workspace, deletion = deleted
    other = make_workspace(tmp_path / "dvc", audit={"golds": False}, references={"pairs": 2}, purge={"act": False})
    shutil.copy(workspace.root / "request.json", other.root)
    call(other.root, sys.executable, "-m", "dvc", "repro", "unlearned")
    manifest = read_json(workspace.state("evidence", deletion.id, "manifest.json"))
    assert sha256_file(other.root / "out/unlearned/weights.safetensors") == manifest["made"]["unlearned"]["weights"]


@pytest.mark.drill
def test_another_device_class_is_told_and_measured(
    deleted: tuple[Workspace, Deletion], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads in place of one: it is said, and what comes of it is held against the tolerance."""
    monkeypatch.setenv("TMU_THREADS", "2")
    found = replayed(*deleted)
    assert found["differences"] == ["threads: 1 then, 2 now"]
    apart = found["distance"] or 0.0
    assert (found["state"] == "equal") == (found["weights"] == found["recorded"])
    assert (found["state"] == "different") == (apart > found["tolerance"])  # how far apart is the processor's matter


@pytest.mark.drill
def test_a_replay_by_measured_threads_takes_the_recorded_number(
    deleted: tuple[Workspace, Deletion], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMU_THREADS", "auto")
    found = replayed(*deleted)
    assert (found["state"], found["differences"]) == ("equal", [])


def test_other_inputs_are_found_out(deleted: tuple[Workspace, Deletion]) -> None:
    """With another seed in the manifest, the references that are fitted again are not those that it names."""
    workspace, deletion = deleted
    path = workspace.state("evidence", deletion.id, "manifest.json")
    before = path.read_bytes()
    raw = json.loads(before)
    raw["case"]["params"]["seed"] = 7
    path.write_text(json.dumps(raw))
    try:
        found = replayed(workspace, deletion, code=9)
    finally:
        path.write_bytes(before)
    assert found["state"] == "not replayable" and [each["name"] for each in found["gone"]] == ["references"]


def test_no_key_is_in_the_evidence(deleted: tuple[Workspace, Deletion]) -> None:
    workspace, deletion = deleted
    keys = set(deletion.plan.subjects) | set(
        read_json(workspace.artifacts.fetch(deletion.forget.uri, deletion.forget.digest) / "forget.json")["records"]
    )
    assert len(keys) > len(PEOPLE)
    for path in workspace.state("evidence", deletion.id).iterdir():
        text = path.read_text(errors="replace")
        assert not [key for key in keys if key[:12] in text], path.name
        assert not [name for name in PEOPLE if name in text], path.name


def test_after_the_purge_the_truth_is_told(deleted: tuple[Workspace, Deletion]) -> None:
    """The last test of the module: it purges."""
    workspace, deletion = deleted
    call(workspace.root, TMU, "purge", deletion.id, "--yes")
    found = replayed(workspace, deletion, code=9)
    gone = {each["name"]: each for each in found["gone"]}
    assert found["state"] == "not replayable" and {"original", "data revision"} <= set(gone)
    assert all(each["purged"] and deletion.id in each["why"] for each in gone.values()), gone
    assert any("give the verdict on record" in each for each in found["checked"])
    assert any(each.startswith("unlearned model: it is there") for each in found["checked"])
    params = yaml.safe_load((workspace.root / "params.yaml").read_text())
    assert params["purge"]["act"] is False
