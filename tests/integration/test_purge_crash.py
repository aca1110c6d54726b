"""kill -9 at each step of a purge: the next run completes, destroys what was left, and nothing earlier is repeated."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import make_workspace
from tests.integration.purge_child import POINTS
from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.purge.record import find_record
from tmu.steps.acknowledge import acknowledge
from tmu.steps.plan import plan_deletion
from tmu.workspace import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.drill]
STORES = {"10-cache": ("a", "b", "c"), "30-models": ("d", "e"), "90-ledger": ("f",)}
QUICK = {"purge": {"act": True}, "audit": {"golds": False, "probes": False}, "model": {"options": {"width": 4}}}


def made(folder: Path) -> tuple[Workspace, Deletion]:
    """A workspace with an acknowledged deletion, and stores with traces."""
    workspace = make_workspace(folder, **QUICK)
    for store, names in STORES.items():
        (folder / ".planted" / store).mkdir(parents=True)
        for name in names:
            (folder / ".planted" / store / name).write_text("an image")
    asked = Asked.of([workspace.keys(simulated=True).subject("contributor-007")], [])
    return workspace, acknowledge(workspace, plan_deletion(workspace, asked), asked)


def run(home: Path, point: str, request: str) -> subprocess.CompletedProcess:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.integration.purge_child", str(home), point, request]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_API")}
    return subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=600, check=False)


def left(workspace: Workspace) -> str:
    return "".join(sorted(path.name for path in workspace.root.glob(".planted/*/*")))


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Workspace, Deletion], tuple[Workspace, Deletion]]:
    """The same deletion in two workspaces: undisturbed, and killed at every point of its purge in turn."""
    folder = tmp_path_factory.mktemp("purge")
    calm, killed = made(folder / "calm"), made(folder / "killed")
    done = run(calm[0].root, "none", calm[1].id)
    assert done.returncode == 0, done.stderr[-2000:]
    expected = dict(zip(POINTS, ("abcdef", "bcdef", "cdef", "f", "", "", "", ""), strict=True))
    for point in POINTS:
        died = run(killed[0].root, point, killed[1].id)
        assert died.returncode == -9, f"{point}: {died.returncode} {died.stderr[-2000:]}"
        assert left(killed[0]) == expected[point], point
        assert Journal(killed[0]).find(killed[1].id).stage is Stage.PURGING
        assert find_record(killed[0], killed[1].id).has_keys == (point != "scrubbed"), point
    done = run(killed[0].root, "none", killed[1].id)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1])["purged"]["verified"]
    assert "Unlearning" not in done.stderr and "Erasing" not in done.stderr
    return calm, killed


def test_both_end_with_nothing_left_and_the_same_inventory(twice) -> None:
    found = []
    for workspace, deletion in twice:
        ended = Journal(workspace).find(deletion.id)
        record = find_record(workspace, deletion.id)
        assert (left(workspace), ended.stage, record.scope, record.salt) == ("", Stage.COMPLETED, None, "")
        assert ended.purged.passed and ended.purged == record.summary()
        found.append([(line.place, line.count, line.result) for line in ended.purged.lines])
    assert found[0] == found[1] == [("cache", 3, "gone"), ("models", 2, "gone"), ("ledger", 1, "gone")]


def test_no_key_is_in_what_the_purge_keeps(twice) -> None:
    from tmu.steps.loading import forget_keys

    for workspace, deletion in twice:
        text = workspace.state("purges", f"{deletion.id}.json").read_text()
        assert not any(key in text for key in forget_keys(workspace, deletion.forget))
        assert deletion.plan.subjects[0] not in text
