"""Yesterday's backup of one store alone is put back after a purge: MLflow, S3, the ledger; `tmu restore` erases again.

The stores: S3 with versions (data, artifacts, MLflow's files), MLflow's database and the ledger as SQLite files.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from bench.erasure.store import versioned_store
from infra.stack.secret_file import BUCKETS
from tests.integration.conftest import make_workspace
from tests.ledger_tools import BOB
from tests.nursery import Nursery
from tmu.ledger import approvals
from tmu.ledger.place import opened
from tmu.steps.stored_certificate import stored

pytest.importorskip("moto.server")
pytestmark = [pytest.mark.slow, pytest.mark.drill]
PERSON = "contributor-007"
LEARNED = "models:/tmu-digits/1"
DELETE = ("delete", "--subject", PERSON, "--yes")
SMALL = {
    "model": {"options": {"width": 4}},
    "unlearn": {"method": "retrain"},
    "audit": {"golds": False, "probes": False},
    "purge": {"act": True},
}
Objects = dict[tuple[str, str], bytes]


class Buckets:
    """The objects of the store, as its owner reads and writes them."""

    def __init__(self, settings: dict[str, str]):
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=settings["TMU_S3_ENDPOINT"],
            aws_access_key_id=settings["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
            region_name=settings["AWS_DEFAULT_REGION"],
        )

    def all(self) -> Objects:
        """What a backup of the buckets holds: the newest version of each object."""
        found: Objects = {}
        for bucket in BUCKETS.values():
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for each in page.get("Contents", ()):
                    found[bucket, each["Key"]] = self._client.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()
        return found

    def put_back(self, backup: Objects, *names: str) -> int:
        """Put the objects of a backup back that are gone or others now, in the buckets named; returns how many."""
        now, wanted = self.all(), {BUCKETS[name] for name in names}
        lost = {at: body for at, body in backup.items() if at[0] in wanted and now.get(at) != body}
        for (bucket, key), body in lost.items():
            self._client.put_object(Bucket=bucket, Key=key, Body=body)
        return len(lost)


@dataclass(frozen=True)
class Drill:
    """A workspace after a deletion and its purge, and the backups from before, store by store."""

    home: Path
    nursery: Nursery
    request: str
    certificate: Path
    backup: Path
    objects: Objects
    buckets: Buckets

    def tmu(self, *words: object, code: int = 0) -> Any:
        """A command's JSON, in a process of its own."""
        return run(self.nursery, self.home, *words, code=code)

    def database(self, name: str) -> None:
        """A SQLite file from the backup, as it was."""
        for end in ("-wal", "-shm"):
            self.home.joinpath(".tmu", name + end).unlink(missing_ok=True)
        shutil.copy(self.backup / name, self.home / ".tmu" / name)

    def searched(self) -> dict[str, Any]:
        """What the independent search says of the person, less what stays for a reason: the tombstones in the shards.

        names: of all models that load; without an inventory from before the search cannot tell whom they learned.
        """
        ended = self.nursery.call("--home", self.home, "--json", "verify-erasure", "--subject", PERSON)
        assert ended.returncode in (0, 6, 7), ended.stderr[-1500:]
        found: dict[str, Any] = json.loads(ended.stdout)
        hits = [hit for hit in found["hits"] if not hit["why"]]
        return found | {"hits": hits, "names": [name for model in found["models"] for name in model["names"]]}

    def replayed(self) -> dict[str, Any]:
        """`tmu restore --yes`, after which nothing is left: by its own second look, and by the independent search."""
        done = self.tmu("restore", "--yes")
        again = self.tmu("restore")
        assert (again["records"], again["versions"], again["serving"], again["traces"]) == (0, [], None, {})
        found = self.searched()
        assert found["hits"] == [] and LEARNED not in found["names"]
        return done


def run(nursery: Nursery, home: Path, *words: object, code: int = 0) -> Any:
    ended = nursery.call("--home", home, "--json", *words)
    assert ended.returncode == code, f"{words}: {ended.returncode}\n{ended.stdout[-1500:]}{ended.stderr[-1500:]}"
    return json.loads(ended.stdout) if ended.stdout.strip() else None


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    folder = tmp_path_factory.mktemp("alone")
    with versioned_store(folder) as settings, pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        workspace = make_workspace(folder / "w", **SMALL)
        home, buckets = workspace.root, Buckets(settings)
        with opened(workspace):
            pass  # there is a ledger
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_API")}
        environment["TMU_DEBUG"] = "1"
        with Nursery("tmu.cli", [], environment) as nursery:
            run(nursery, home, "train", "original", "--register")
            run(nursery, home, "restore")  # the secret of the marks is there from the first look on
            objects = buckets.all()
            (folder / "backup").mkdir()
            for name in ("mlflow.db", "ledger.db"):
                shutil.copy(home / ".tmu" / name, folder / "backup" / name)
            asked = run(nursery, home, *DELETE, code=8)
            with opened(workspace) as ledger:
                approvals.approve(ledger, asked["request"], asked["plan_hash"], BOB)
            run(nursery, home, *DELETE)
            certificate = stored(workspace, asked["request"])
            yield Drill(home, nursery, asked["request"], certificate, folder / "backup", objects, buckets)


def test_after_the_purge_the_search_finds_nothing_and_the_certificate_verifies(drill: Drill) -> None:
    found = drill.searched()
    assert found["hits"] == [] and LEARNED not in found["names"] and found["names"]
    assert drill.tmu("certificate", "verify", drill.request)["verified"] is True


def test_mlflow_alone(drill: Drill) -> None:
    """Its database and its files."""
    drill.database("mlflow.db")
    assert drill.buckets.put_back(drill.objects, "mlflow") > 0
    assert LEARNED in drill.searched()["names"]  # the model that learned the person loads again
    looked = drill.tmu("restore")
    assert (looked["records"], looked["versions"]) == (0, [1])
    assert drill.replayed()["versions"] == [1]
    assert drill.tmu("certificate", "verify", drill.request)["verified"] is True


def test_s3_alone(drill: Drill) -> None:
    """All buckets; the objects that were destroyed are new versions now."""
    assert drill.buckets.put_back(drill.objects, *BUCKETS) > 0
    found = drill.searched()
    assert found["outcome"] == "FAILED" and len(found["hits"]) > 0
    looked = drill.tmu("restore")
    assert looked["records"] == 0 and sum(looked["traces"].values()) > 0  # the data in the workspace are today's
    drill.replayed()
    assert drill.tmu("certificate", "verify", drill.request)["verified"] is True


def test_the_ledger_alone(drill: Drill) -> None:
    """It knows nothing of the request; `tmu restore` names it, and the certificate verifies by itself."""
    drill.database("ledger.db")
    done = drill.replayed()
    assert [each["request"] for each in done["forgotten"]] == [drill.request]
    assert drill.tmu("verify", drill.certificate)["verified"] is True
