"""A workspace after a deletion: its owner's alone, free of its own address, and whole after `mv` and `cp -r`."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import mlflow
import numpy as np
import pytest

from tests.integration.conftest import QUICK, make_workspace
from tests.mlflow_tools import answering
from tmu.cli import upkeep
from tmu.permissions import exposed
from tmu.steps.loading import data_ref
from tmu.steps.verify_all import verify_all
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow
URI = "models:/tmu-digits@champion"
CACHES = ("dvc-site", "prefect")  # of DVC and of Prefect's temporary server: keyed by address, made anew elsewhere


def deleted(workspace: Workspace, *names: str) -> dict:
    from flows.delete_local import delete_local_flow

    keys = [workspace.keys(simulated=True).subject(name) for name in names]
    return delete_local_flow(home=str(workspace.root), subjects=keys, method="retrain")


@pytest.fixture(scope="module")
def made(prefect_server: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after import, training and a deletion, all of it under umask 000."""
    before = os.umask(0)
    try:
        workspace = make_workspace(tmp_path_factory.mktemp("made") / "w", train=QUICK["train"] | {"epochs": 1})
        os.umask(0)  # as a process that has nothing of ours about it would have left it
        deleted(workspace, "contributor-001")
    finally:
        os.umask(before)
    return workspace.root


@pytest.fixture
def moved(made: Path, tmp_path: Path) -> Iterator[Path]:
    """The workspace somewhere else, while the place where it was made is empty."""
    away = shutil.move(made, tmp_path / "elsewhere")
    yield away
    shutil.move(away, made)


def state_of(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file and folder: time of change, mode, content."""
    return {
        path.relative_to(root).as_posix(): (
            path.stat().st_mtime_ns,
            path.stat().st_mode,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in [root, *root.rglob("*")]
    }


def test_nothing_can_be_read_by_others_whatever_the_umask(made: Path) -> None:
    assert exposed(made) == []
    assert {oct(path.stat().st_mode & 0o777) for path in made.rglob("*") if path.is_dir()} == {"0o700"}
    assert {oct(path.stat().st_mode & 0o777) for path in made.rglob("*") if path.is_file()} <= {"0o600", "0o400"}


def test_no_store_holds_the_address_of_the_workspace(made: Path) -> None:
    """`.tmu/owner.json` is the workspace's own: by it a copy is told from a workspace that moved."""
    apart = {*CACHES, "owner.json"}
    files = [path for path in made.rglob("*") if path.is_file() and not apart & {*path.parts}]
    assert len(files) > 100
    assert [path for path in files if str(made).encode() in path.read_bytes()] == []


def test_after_a_move_it_loads_verifies_and_deletes(prefect_server: dict, moved: Path, made: Path) -> None:
    from tmu import serving

    workspace = Workspace.open(moved)
    assert verify_all(workspace).broken == []
    assert upkeep.service(workspace).state == "ok"
    mlflow.set_tracking_uri(workspace.registry.uri)
    pixels = np.zeros((1, 1, 8, 8), np.float32)
    expected = serving.load_model(URI).predict(pixels)
    assert np.array_equal(mlflow.pyfunc.load_model(URI).predict(pixels), expected)
    mlflow.set_tracking_uri(None)
    before = workspace.registry.get_alias("digits", "champion")
    outcome = deleted(workspace, "contributor-002")
    assert workspace.registry.get_alias("digits", "champion").version == outcome["champion"] > before.version
    assert verify_all(workspace).broken == []
    assert not made.exists()


def test_a_copy_leaves_the_original_alone(prefect_server: dict, made: Path, tmp_path: Path) -> None:
    from tmu import serving

    Workspace.open(made).registry.versions("digits")  # MLflow holds on to what it opened, in this process
    before = state_of(made)
    subprocess.run(["cp", "-r", made, tmp_path / "copy"], check=True)
    copy = Workspace.open(tmp_path / "copy")
    outcome = deleted(copy, "contributor-003")
    assert serving.load_model(URI, home=copy.root).shape == (1, 8, 8)
    assert verify_all(copy).broken == []
    shutil.copytree(copy.root, tmp_path / "third")  # and once more, with what the copy made
    assert verify_all(Workspace.open(tmp_path / "third")).broken == []
    assert state_of(made) == before
    assert data_ref(Workspace.open(made)).digest != outcome["data"]["digest"]


def test_a_copy_needs_nothing_of_the_original(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child process copies, then opens, loads and verifies while whatever it opens is on record."""
    subprocess.run(["cp", "-r", made, tmp_path / "copy"], check=True)
    code = (
        "import sys, os; opened = []\n"
        "watched = ('open', 'sqlite3.connect')\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event in watched else None)\n"
        "from tmu.workspace import Workspace\n"
        "from tmu.steps.verify_all import verify_all\n"
        "from tmu import serving\n"
        f"serving.load_model({URI!r}, home=sys.argv[1])\n"
        "assert verify_all(Workspace.open(sys.argv[1])).broken == []\n"
        "print(*[name for name in opened if name.startswith(sys.argv[2])], sep='\\n', end='')\n"
        "assert any(name.startswith(sys.argv[1]) for name in opened)\n"
    )
    command = [os.sys.executable, "-c", code, str(tmp_path / "copy"), str(made)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_the_pages_show_models_and_artifacts_after_a_move(moved: Path, tmp_path: Path) -> None:
    workspace = Workspace.open(moved)
    champion = workspace.registry.get_alias("digits", "champion")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path / "log"
    command = f"exec env {workspace.registry.ui_command()} --port {port}"
    with open(log, "w") as out:
        server = subprocess.Popen(command, shell=True, stdout=out, stderr=out, cwd=tmp_path)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
            answering(client, server)
            models = client.get("/ajax-api/2.0/mlflow/registered-models/search").json()["registered_models"]
            listing = f"/ajax-api/2.0/mlflow/logged-models/{champion.model_id}/artifacts/directories"
            files = {each["path"] for each in client.get(listing).json()["files"]}
            report = client.get("/get-artifact", params={"run_uuid": champion.run_id, "path": "audit/report.html"})
    finally:
        server.terminate()
        server.wait(30)
    assert [model["name"] for model in models] == ["tmu-digits"]
    assert "MLmodel" in files, log.read_text()
    assert report.status_code == 200
    assert b"<html" in report.content
    assert not (tmp_path / "mlruns").exists()
