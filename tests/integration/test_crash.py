"""kill -9 at the stages of one deletion: the same request goes on, and takes effect exactly once.

Between the stages params.yaml is edited, another method is asked for, and the request is withdrawn.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.conftest import QUICK, make_workspace
from tests.nursery import Nursery
from tmu.config import Params
from tmu.data.store import RecordStore
from tmu.deletion.deletion import Stage
from tmu.deletion.journal import Journal
from tmu.errors import RequestError
from tmu.steps.loading import data_ref
from tmu.steps.read_references import read_info, read_rows
from tmu.steps.resume import resumed, withdraw
from tmu.stores.artifacts import Held
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow
PEOPLE = [f"contributor-{number:03d}" for number in range(20, 28)]
SMALL = {"model": {"options": {"width": 8}}, "audit": {"probes": False}}
POINTS = (
    "training the original",
    "acknowledged",
    "references",
    "trying rates",
    "twin",
    "erasing",
    "between two shards",
    "before DVC knows",
    "erased",
    "unlearned",
    "training the gold",
    "in the middle of registering",
    "audited",
)
EDITS = (
    {"train": {"epochs": 1}},
    {"seed": 7},
    {"unlearn": {"method": "finetune", "options": {}}},
    {"audit": {"bootstrap": 200, "far_points": 100.0}},
    {"model": {"name": "small_resnet", "options": {"width": 4}}},
)


def refuse_all_but_the_same(workspace: Workspace, point: str, copy: Path) -> None:
    """Another method is refused at every stage; to withdraw is refused from the first erased byte on."""
    (deletion,) = Journal(workspace).unfinished()
    with pytest.raises(RequestError, match="acknowledged with the method"):
        resumed(workspace, deletion.id, method="finetune")
    if POINTS.index(point) < POINTS.index("between two shards"):
        untouched = Workspace.open(shutil.copytree(workspace.root, copy, symlinks=True))
        assert withdraw(untouched, deletion.id).stage is Stage.WITHDRAWN
        return
    with pytest.raises(RequestError, match="point of no return"):
        withdraw(workspace, deletion.id)


def edit_params(workspace: Workspace, change: dict[str, Any]) -> None:
    raw = Params.model_validate(QUICK).model_dump(mode="json")
    for name, value in change.items():
        raw[name] = raw[name] | value if isinstance(value, dict) else value
    (workspace.root / "params.yaml").write_text(yaml.safe_dump(raw))


SOME = ("training the original", "twin", "between two shards", "before DVC knows", "in the middle of registering")
DRILL = pytest.param(POINTS, id="all", marks=pytest.mark.drill)


@pytest.fixture(scope="module", params=[pytest.param(SOME, id="some"), DRILL])
def twice(
    request: pytest.FixtureRequest, prefect_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workspace, Workspace]:
    """The same deletion in two workspaces: undisturbed, and killed at some points (drill: all) in turn."""
    from flows.delete_local import delete_local_flow

    folder = tmp_path_factory.mktemp("crash")
    calm, killed = (make_workspace(folder / name, **SMALL) for name in ("calm", "killed"))
    subjects = [calm.keys(simulated=True).subject(name) for name in PEOPLE]
    delete_local_flow(home=str(calm.root), subjects=subjects)
    environment = os.environ | prefect_server | {"TMU_SNAPSHOT_SECONDS": "0"}
    with Nursery("tests.integration.crash_child", ["flows.delete_local"], environment) as nursery:
        for number, point in enumerate(request.param):
            died = nursery.call(killed.root, point, *subjects)
            assert died.returncode == -9, f"{point}: {died.returncode} {died.stderr[-2000:]}"
            refuse_all_but_the_same(killed, point, folder / f"copy-{number}")
            edit_params(killed, EDITS[number % len(EDITS)])
        done = nursery.call(killed.root, "none", *subjects)
        assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1])["request"]
    return Workspace.open(calm.root), Workspace.open(killed.root)


def test_the_data_end_in_the_same_revision(twice: tuple[Workspace, Workspace]) -> None:
    calm, killed = twice
    assert data_ref(calm).digest == data_ref(killed).digest == killed.versions.revision(killed.data)
    assert RecordStore.open(killed.data).verify() == RecordStore.open(calm.data).verify()


def test_the_models_end_in_the_same_weights_and_once_each(twice: tuple[Workspace, Workspace]) -> None:
    weights = [
        sorted((version.role, version.weights_sha256) for version in workspace.registry.versions("digits"))
        for workspace in twice
    ]
    assert weights[0] == weights[1]
    assert len(weights[0]) == 4
    for alias in ("original", "gold", "candidate", "champion"):
        first, second = (workspace.registry.get_alias("digits", alias) for workspace in twice)
        assert first.weights_sha256 == second.weights_sha256


KINDS = ("references", "twin")


def _of_references(held: Held) -> bool:
    """Not the fine-tuned twin, which the control of an audit beside golds needs."""
    return held.manifest["identity"]["stage"] != "twin"


def test_references_and_twin_are_fitted_once_and_the_rows_go_once(twice: tuple[Workspace, Workspace]) -> None:
    held = [
        [[each.digest for each in workspace.artifacts.manifests(kind) if _of_references(each)] for kind in KINDS]
        for workspace in twice
    ]
    assert held[0] == held[1]
    assert list(map(len, held[0])) == [1, 1]
    for workspace in twice:
        (deletion,) = Journal(workspace).all()
        assert deletion.method == "tmu-soft"
        assert deletion.references.digest != deletion.references_after.digest == held[0][0][0]
        assert deletion.twin.digest == held[0][1][0]
        table = read_info(workspace, deletion.references_after)
        assert table["deletions"] == 1
        assert len(read_rows(workspace, deletion.references_after)) == len(RecordStore.open(workspace.data).index())


def test_the_journal_holds_one_completed_request(twice: tuple[Workspace, Workspace]) -> None:
    for workspace in twice:
        (deletion,) = Journal(workspace).all()
        assert deletion.stage is Stage.COMPLETED
        assert set(deletion.times) == set(Stage) - {Stage.WITHDRAWN}


def test_no_run_is_left_running_in_mlflow(twice: tuple[Workspace, Workspace]) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=twice[1].registry.uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    assert [run for run in client.search_runs(experiments) if run.info.status == "RUNNING"] == []
