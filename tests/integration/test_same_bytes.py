"""One deletion through Prefect, by `tmu delete` and by `dvc repro`: the same weights, and the same rest."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import make_workspace
from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.files import read_json, sha256_file
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow
PEOPLE = [f"contributor-{number:03d}" for number in range(40, 48)]


def call(root: Path, *command: str) -> str:
    """A command as a user types it, without a Prefect server; its `tmu` is that of this environment."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
    for name in ("TMU_HOME", "PREFECT_API_URL"):
        environment.pop(name, None)
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def repro(root: Path) -> str:
    return call(root, sys.executable, "-m", "dvc", "repro")


@pytest.fixture(scope="module")
def both(
    prefect_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workspace, Workspace, Deletion]:
    """(workspace of the flow, workspace of DVC, the flow's deletion) after the same request."""
    from flows.delete_local import delete_local_flow

    folder = tmp_path_factory.mktemp("paths")
    quick = {"audit": {"golds": False, "probes": False}, "references": {"pairs": 2}}
    by_flow, by_dvc = (make_workspace(folder / name, **quick) for name in ("flow", "dvc"))
    subjects = [by_flow.keys(simulated=True).subject(name) for name in PEOPLE]
    outcome = delete_local_flow(home=str(by_flow.root), subjects=subjects)
    (by_dvc.root / "request.json").write_text(json.dumps({"subject_keys": subjects, "record_keys": []}))
    repro(by_dvc.root)
    return by_flow, by_dvc, Journal(by_flow).find(outcome["request"])


@pytest.fixture(scope="module")
def commanded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Deletion]:
    """The same request once more, by the command line and without a server."""
    workspace = make_workspace(
        tmp_path_factory.mktemp("command") / "w", audit={"golds": False, "probes": False}, references={"pairs": 2}
    )
    subjects = [workspace.keys(simulated=True).subject(name) for name in PEOPLE]
    (workspace.root / "request.json").write_text(json.dumps({"subject_keys": subjects, "record_keys": []}))
    call(workspace.root, str(Path(sys.executable).parent / "tmu"), "delete", "--file", "request.json", "--yes")
    (deletion,) = Journal(workspace).all()
    return workspace, deletion


def test_the_command_line_makes_what_the_flow_makes(
    both: tuple[Workspace, Workspace, Deletion], commanded: tuple[Workspace, Deletion]
) -> None:
    """References, twin and unlearned model, and the table that is left for the next request."""
    _, _, flow = both
    workspace, command = commanded
    assert command.stage is flow.stage and command.method == flow.method == "tmu-soft"
    for name in ("base", "unlearned"):
        assert getattr(command, name).weights == getattr(flow, name).weights
    for name in ("references", "twin", "forget", "data", "references_after"):
        assert getattr(command, name).digest == getattr(flow, name).digest, name
    assert workspace.registry.get_alias("digits", "champion").weights_sha256 == command.outcome.serves.weights
    assert command.outcome.serves.weights == flow.outcome.serves.weights


def test_the_weights_are_equal(both: tuple[Workspace, Workspace, Deletion]) -> None:
    _, by_dvc, deletion = both
    flow = {"original": deletion.base.weights, "unlearned": deletion.unlearned.weights}
    dvc = {name: sha256_file(by_dvc.root / "out" / name / "weights.safetensors") for name in flow}
    assert dvc == flow
    assert len(set(flow.values())) == 2


def test_references_twin_and_forget_set_are_the_same_artifacts(both: tuple[Workspace, Workspace, Deletion]) -> None:
    _, by_dvc, deletion = both
    for name in ("references", "twin", "forget"):
        assert sha256_file(by_dvc.root / "out" / name / "manifest.json") == getattr(deletion, name).digest


def test_the_audits_say_the_same(both: tuple[Workspace, Workspace, Deletion]) -> None:
    by_flow, by_dvc, deletion = both
    folder = by_flow.artifacts.fetch(deletion.outcome.audit.uri, deletion.outcome.audit.digest)
    flow, dvc = (_numbers(read_json(path / "audit.json")) for path in (folder, by_dvc.root / "out" / "audit"))
    assert flow == dvc


def test_a_second_repro_runs_nothing(both: tuple[Workspace, Workspace, Deletion]) -> None:
    assert "Running stage" not in repro(both[1].root)


def _numbers(audit: dict) -> dict:
    return {row["name"]: row["metrics"] for row in audit["result"]["rows"]} | {"verdict": audit["verdict"]["outcome"]}
