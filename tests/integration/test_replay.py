"""A deletion's model is made again bit for bit before its inputs are gone; afterwards the replay says what is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import make_workspace
from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.errors import RequestError
from tmu.files import read_json, write_json
from tmu.steps.loading import data_ref
from tmu.steps.replay import manifest_path, replay
from tmu.workspace import Workspace

QUICK = {
    "model": {"options": {"width": 4}},
    "train": {"epochs": 2},
    "unlearn": {"method": "finetune", "options": {}},
    "purge": {"act": False},
}


@pytest.fixture(scope="module")
def deleted(prefect_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Deletion]:
    from flows.delete_local import delete_local_flow

    workspace = make_workspace(Path(tmp_path_factory.mktemp("replay")) / "w", **QUICK)
    person = workspace.keys(simulated=True).subject("contributor-040")
    outcome = delete_local_flow(home=str(workspace.root), subjects=[person], audit=False)
    return workspace, Journal(workspace).find(outcome["request"])


def test_it_is_equal_here_in_a_fresh_process_and_by_prefect(
    deleted: tuple[Workspace, Deletion], prefect_server: dict[str, str]
) -> None:
    from flows.replay import replay_flow

    workspace, deletion = deleted
    here = replay(workspace, deletion.id)
    by_flow = replay_flow(request=deletion.id, home=str(workspace.root))
    command = [Path(sys.executable).parent / "tmu", "--home", workspace.root, "replay", deletion.id, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | prefect_server)
    assert done.returncode == 0, done.stderr
    fresh = json.loads(done.stdout)
    assert [here.outcome, by_flow["outcome"], fresh["outcome"]] == ["equal"] * 3
    assert {here.again, by_flow["again"], fresh["again"]} == {deletion.unlearned.weights}
    assert not workspace.state("replay", deletion.id).exists()


def test_the_model_is_really_made_again(deleted: tuple[Workspace, Deletion]) -> None:
    """With another seed in the manifest other weights come out, and that is said."""
    workspace, deletion = deleted
    path = manifest_path(workspace, deletion.id)
    raw = path.read_bytes()
    try:
        made = read_json(path)
        made["params"]["seed"] += 1
        write_json(path, made)
        found = replay(workspace, deletion.id)
    finally:
        path.write_bytes(raw)
    assert found.outcome == "differs"
    assert found.apart > 0
    assert found.again != deletion.unlearned.weights


def test_another_device_class_is_told_and_has_a_tolerance(deleted: tuple[Workspace, Deletion]) -> None:
    workspace, deletion = deleted
    path = manifest_path(workspace, deletion.id)
    raw = path.read_bytes()
    try:
        made = read_json(path)
        made["lane"]["device"] = "cuda"
        made["unlearned"]["weights"] = "0" * 64  # other bits, as another class of device may give
        write_json(path, made)
        found = replay(workspace, deletion.id)
    finally:
        path.write_bytes(raw)
    assert (found.outcome, found.same_class, found.apart) == ("close", False, 0.0)


def test_what_is_gone_is_named_and_the_rest_is_checked(deleted: tuple[Workspace, Deletion]) -> None:
    workspace, deletion = deleted
    folder = workspace.artifacts.fetch(deletion.base.uri, deletion.base.digest)
    away = folder.rename(folder.with_name("elsewhere"))
    try:
        found = replay(workspace, deletion.id)
        command = [Path(sys.executable).parent / "tmu", "--home", workspace.root, "replay", deletion.id]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        away.rename(folder)
    assert found.outcome == "gone" and found.again is None
    states = {part.name: part.state for part in found.parts}
    assert states == {
        "data before": "sound", "data after": "sound", "forget set": "sound", "model before": "gone",
        "unlearned model": "sound",
    }  # fmt: skip
    assert done.returncode == 9 and "Not there: model before" in done.stdout


def test_the_manifest_names_nobody(deleted: tuple[Workspace, Deletion]) -> None:
    workspace, deletion = deleted
    raw = manifest_path(workspace, deletion.id).read_text()
    assert not [key for key in (*deletion.asked.subjects, *deletion.asked.records) if key in raw]
    assert json.loads(raw)["after"]["digest"] == data_ref(workspace).digest


def test_a_request_without_a_manifest_is_an_error(deleted: tuple[Workspace, Deletion]) -> None:
    with pytest.raises(RequestError, match="has no manifest"):
        replay(deleted[0], "0" * 16)


def test_a_model_by_references_is_made_again_until_the_purge(prefect_server: dict[str, str], tmp_path: Path) -> None:
    """Before: equal. Then `tmu purge`: the inputs are gone, the keys too, and the replay says so."""
    from flows.delete_local import delete_local_flow
    from tmu.steps.purge import act_purge, check_purge, plan_purge

    quick = {"audit": {"golds": False}, "model": {"options": {"width": 4}}, "train": {"epochs": 2}}
    workspace = make_workspace(tmp_path / "w", **quick, purge={"act": False})
    people = [workspace.keys(simulated=True).subject(f"contributor-{number:03d}") for number in range(40, 48)]
    outcome = delete_local_flow(home=str(workspace.root), subjects=people)
    deletion = Journal(workspace).find(outcome["request"])
    before = replay(workspace, deletion.id)
    assert before.outcome == "equal", before
    plan_purge(workspace, deletion)
    act_purge(workspace, deletion.id)
    assert check_purge(workspace, deletion.id).verified
    after = replay(workspace, deletion.id)
    assert after.outcome == "gone"
    gone = {part.name for part in after.parts if part.state != "sound"}
    assert gone >= {"data before", "model before", "forget set"}
    assert {part.name for part in after.parts if part.state == "sound"} >= {"data after", "unlearned model", "audit"}
