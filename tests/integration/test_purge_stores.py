"""kill -9 in the stores' own steps of a purge: between two versions in S3, before PostgreSQL's log is overwritten."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.erasure.store import versioned_store
from bench.service.postgres import Postgres
from infra.stack.secret_file import BUCKETS
from tests.integration.conftest import make_workspace
from tests.integration.purge_store_child import POINTS
from tests.integration.test_ledger_shred_postgres import places_of
from tests.integration.test_restore_alone import DELETE, PERSON, SMALL
from tests.ledger_tools import BOB
from tests.nursery import Nursery
from tests.postgres_server import server_of_its_own
from tmu.deletion.deletion import Stage
from tmu.deletion.journal import Journal
from tmu.ledger import approvals, proof, views
from tmu.ledger.place import opened
from tmu.stores.s3_access import s3_access
from tmu.stores.s3_versions import S3Versions
from tmu.workspace import Workspace

pytest.importorskip("moto.server")
pytestmark = [pytest.mark.slow, pytest.mark.drill]


@dataclass
class Ground:
    """A workspace with an approved request, its data and models in S3, its ledger in PostgreSQL.

    settings: as variables of the environment. left: where the person's key stood in the server after each kill.
    """

    workspace: Workspace
    settings: dict[str, str]
    request: str = ""
    left: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def person(self) -> str:
        return self.workspace.keys(simulated=True).subject(PERSON)

    def nursery(self) -> Nursery:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_API")}
        return Nursery("tests.integration.purge_store_child", ["tmu.cli"], plain | self.settings)

    def versions(self, kind: str) -> list[tuple[str, bool]]:
        """Keys in a bucket below the workspace's own prefix, one for each version; whether it is a delete marker."""
        prefix = f"{self.workspace.root.name}/"
        store = S3Versions(BUCKETS[kind], s3_access(self.workspace.settings))
        return sorted((each.key.removeprefix(prefix), each.marker) for each in store.under(prefix))


def delete(nursery: Nursery, ground: Ground, point: str = "none", code: int = 0, words: Any = DELETE) -> Any:
    ended = nursery.call(point, "--home", ground.workspace.root, "--json", *words)
    assert ended.returncode == code, f"{point}: {ended.returncode}\n{ended.stdout[-1500:]}{ended.stderr[-1500:]}"
    return json.loads(ended.stdout or ended.stderr) if code >= 0 else None


def made(folder: Path, settings: dict[str, str], server: Postgres) -> Ground:
    """A model that learned the person is registered, their request is approved."""
    settings = settings | {"TMU_LEDGER": server.new_database()}
    for name in ("TMU_ARTIFACTS", "TMU_DVC_REMOTE", "TMU_MLFLOW_ARTIFACTS"):
        settings[name] += f"/{folder.name}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        ground = Ground(make_workspace(folder, **SMALL), settings)
        with opened(ground.workspace):
            pass  # there is a ledger
    with ground.nursery() as nursery:
        words = ("--home", folder, "train", "original", "--register")
        assert nursery.call("none", *words).returncode == 0
        asked = delete(nursery, ground, code=8)
    with opened(ground.workspace) as ledger:
        approvals.approve(ledger, asked["request"], asked["plan_hash"], BOB)
    ground.request = asked["request"]
    return ground


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    yield from server_of_its_own()


@pytest.fixture(scope="module")
def twice(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ground, Ground]]:
    """The same deletion twice: undisturbed, and killed at each point of its purge in turn."""
    folder = tmp_path_factory.mktemp("stores")
    with versioned_store(folder) as settings, pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            if name.startswith("AWS_"):
                patch.setenv(name, value)
        calm, killed = (made(folder / name, settings, server) for name in ("calm", "killed"))
        with calm.nursery() as nursery:
            delete(nursery, calm)
        with killed.nursery() as nursery:
            words = DELETE
            for point in POINTS:
                delete(nursery, killed, point, code=-9, words=words)
                (deletion,) = Journal(killed.workspace).unfinished()
                assert deletion.stage is Stage.PURGING, point
                killed.left[point] = places_of(server, killed.person)
                words = ("delete", "--resume", deletion.id)
            said = delete(nursery, killed, code=3)  # the person's key is in no table any more
            assert f"--resume {deletion.id}" in said["error"]["hint"]
            delete(nursery, killed, words=words)
        yield calm, killed


def test_each_death_left_something(twice: tuple[Ground, Ground]) -> None:
    """At the first the ledger has the key still; at the second the log alone may have it."""
    first, second = (twice[1].left[point] for point in POINTS)
    assert "base" in first
    assert "base" not in second and "pg_wal" in second


def test_both_end_in_the_same_state(twice: tuple[Ground, Ground], server: Postgres) -> None:
    inventories, models = [], []
    for ground in twice:
        (deletion,) = Journal(ground.workspace).all()
        assert deletion.stage is Stage.COMPLETED and deletion.purged.passed
        inventories.append([(line.place, line.count, line.result) for line in deletion.purged.lines])
        versions = ground.workspace.registry.versions("digits")
        models.append([(each.version, each.role, each.weights_sha256, each.purged) for each in versions])
    assert models[0] == models[1]
    assert [place for place, *_ in inventories[0]] == [place for place, *_ in inventories[1]]
    assert {result for *_, result in (*inventories[0], *inventories[1])} <= {"gone", "stays"}
    for kind in ("dvc", "artifacts"):
        calm, killed = (ground.versions(kind) for ground in twice)
        assert [marker for _, marker in killed if marker] == []
        assert (kind, len(killed)) == (kind, len(calm))
    calm, killed = (ground.versions("dvc") for ground in twice)
    assert killed == calm
    assert places_of(server, twice[0].person) == {}


def test_it_took_effect_once(twice: tuple[Ground, Ground]) -> None:
    """By the log. There is no certificate: the search cannot look into the server's files, and says so."""
    logs = []
    for ground in twice:
        with opened(ground.workspace) as ledger:
            assert proof.verify(ledger).seq
            logs.append([json.loads(body)["event"] for body in views.show(ledger, ground.request)["log"]])
    for events in logs:
        assert [events.count(each) for each in ("forgetting_data", "purging", "verifying", "completed")] == [1] * 4
