"""The flows that watch: deadline-watch, intake and verify, against a Prefect server and a receiver of webhooks."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import QUICK, make_workspace
from tests.ledger_tools import KEYS, asked
from tests.notify_tools import SECRET, Receiver, receiving
from tmu.errors import DataError
from tmu.ledger import proof
from tmu.ledger.actor import Actor
from tmu.ledger.intake import receive
from tmu.ledger.place import open_ledger
from tmu.notify.signature import verify_signature
from tmu.steps.loading import data_ref
from tmu.steps.promote_model import promote_model
from tmu.steps.register_model import register_model
from tmu.steps.train_model import train_original
from tmu.steps.verify_all import verify_all
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a model in service, and one request that is 26 of its 28 to 31 days old."""
    workspace = make_workspace(tmp_path_factory.mktemp("made") / "w", train=QUICK["train"] | {"epochs": 1})
    data = data_ref(workspace)
    model = train_original(workspace, data, workspace.params)
    version = register_model(workspace, data, model, workspace.params)
    ledger = open_ledger(workspace)
    ledger.now = lambda: datetime.now(UTC) - timedelta(days=26)
    receive(ledger, KEYS, asked("case-1", "contributor-001", dataset="digits"), Actor("portal", "token"))
    ledger.close()
    promote_model(workspace, data, version.version)
    return workspace.root


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """A copy, to be broken."""
    return Path(shutil.copytree(made, tmp_path / "w"))


@pytest.fixture
def receiver(home: Path) -> Iterator[Receiver]:
    with receiving() as made:
        (home / "tmu.toml").write_text(f'webhooks = ["{made.url}"]\nwebhook_secret = "{SECRET}"\n')
        yield made


def shown(key: str) -> Any:
    from prefect.artifacts import Artifact

    return Artifact.get(key)


def test_the_deadline_watch_warns_tells_and_shows_the_board(
    prefect_server: dict, home: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infra.prefect_ops.deadline_watch import deadline_watch_flow

    monkeypatch.setenv("TMU_HOME", str(home))
    first = deadline_watch_flow()
    assert [(each["event"], each["level"]) for each in first["told"]] == [
        ("deadline_warning", 50),
        ("deadline_warning", 80),
    ]
    assert first["sent"]["delivered"] == 3  # the cut-over, and two warnings; the receipt is older than three days
    assert receiver.told == [(None, "cut_over"), ("case-1", "deadline_warning"), ("case-1", "deadline_warning")]
    for got in receiver.got:
        now = datetime.now(UTC).timestamp()
        assert verify_signature(SECRET.encode(), got.headers["Tmu-Signature"], got.body, now)
    (line,) = json.loads(shown("deadlines").data)
    assert (line["request"], line["state"], line["warning"]) == ("case-1", "queued", 80)
    assert 0 < line["days_left"] < 6
    assert KEYS.subject("contributor-001") not in str(shown("deadlines").data)
    second = deadline_watch_flow(home=str(home))
    assert (second["told"], second["sent"]["delivered"]) == ([], 0)


def test_the_deadline_watch_cleans_up_behind_a_clean_up_that_cannot_run(
    prefect_server: dict, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import StateType
    from prefect.states import Running

    from infra.prefect_ops.deadline_watch import deadline_watch_flow
    from infra.prefect_ops.reconcile import reconcile_flow

    with get_client(sync_client=True) as client:
        lost = client.create_flow_run(reconcile_flow, state=Running())
        client.update_flow_run(lost.id, flow_version=None, infrastructure_pid="1")
        deadline_watch_flow(home=str(home))
        assert client.read_flow_run(lost.id).state_type is StateType.CRASHED


def test_intake_puts_files_on_record_and_tells_of_it(prefect_server: dict, home: Path, receiver: Receiver) -> None:
    from flows.intake import intake_flow

    inbox = home / ".tmu" / "inbox"
    assert intake_flow(home=str(home))["taken"]["files"] == 0
    (inbox / "today.json").write_text(json.dumps([{"id": "case-2", "subjects": ["contributor-002"]}]))
    outcome = intake_flow(home=str(home))
    assert outcome["taken"] == {"files": 1, "received": 1, "known": 0, "refused": 0, "unfinished": 0}
    assert receiver.told[-1] == ("case-2", "received")
    assert b"contributor-002" not in b"".join(path.read_bytes() for path in inbox.rglob("*") if path.is_file())


def test_verify_shows_the_head_that_the_log_has(prefect_server: dict, home: Path) -> None:
    from flows.verify import verify_flow

    outcome = verify_flow(home=str(home))
    ledger = open_ledger(Workspace.open(home))
    assert outcome["head"] == str(proof.verify(ledger))
    ledger.close()
    assert outcome["head"] in shown("verification").data
    assert "1797 records" in outcome["checks"]["record store"]
    models = outcome["checks"]["models"]
    assert models == "1 models match their manifests; 1 versions match their digests; version 1 is in service."


def _state_changed(home: Path) -> None:
    with sqlite3.connect(home / ".tmu" / "ledger.db") as raw:
        raw.execute("UPDATE requests SET state = 'completed'")


def _log_cut_off(home: Path) -> None:
    """The chain still holds in itself: only the head that was noted by the check before tells."""
    verify_all(Workspace.open(home))
    with sqlite3.connect(home / ".tmu" / "ledger.db") as raw:
        raw.execute("DROP TRIGGER audit_log_no_delete")
        raw.execute("DELETE FROM audit_log WHERE seq = (SELECT max(seq) FROM audit_log)")


def _byte_changed(home: Path) -> None:
    shard = sorted((home / "data" / "shards").iterdir())[3]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.chmod(0o644)
    shard.write_bytes(content)


def _model_changed(home: Path) -> None:
    (weights,) = (home / ".tmu" / "artifacts" / "model").glob("*/weights.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)


def _alias_moved(home: Path) -> None:
    workspace = Workspace.open(home)
    data, params = data_ref(workspace), workspace.params.model_copy(update={"seed": 1})
    model = train_original(workspace, data, params)
    version = register_model(workspace, data, model, params)
    workspace.registry.set_alias("digits", "champion", version)


@pytest.mark.parametrize(
    ("tamper", "broken"),
    [
        (_state_changed, ["audit log"]),
        (_log_cut_off, ["audit log"]),
        (_byte_changed, ["record store"]),
        (_model_changed, ["models"]),
        (_alias_moved, ["models"]),
    ],
)
def test_what_was_changed_past_the_flows_is_found(home: Path, tamper: Any, broken: list[str]) -> None:
    assert verify_all(Workspace.open(home)).broken == []
    tamper(home)
    assert verify_all(Workspace.open(home)).broken == broken


def test_a_broken_check_fails_the_flow_and_is_announced(prefect_server: dict, home: Path, receiver: Receiver) -> None:
    from flows.verify import verify_flow

    _byte_changed(home)
    with pytest.raises(DataError, match="Verification failed: record store"):
        verify_flow(home=str(home))
    assert receiver.told[-1] == (None, "verification_failed")
    assert receiver.got[-1].message["facts"] == {"broken": ["record store"]}
    assert "**failed**" in shown("verification").data


def test_a_check_that_cannot_be_made_does_not_pass(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tmu.stores.mlflow import ModelRegistry

    def away(*_: object) -> None:
        raise ConnectionError("http://host/secret")

    monkeypatch.setattr(ModelRegistry, "get_alias", away)
    verified = verify_all(Workspace.open(home))
    assert verified.broken == ["models"]
    assert verified.checks[-1].found == "It cannot be checked (ConnectionError)."
