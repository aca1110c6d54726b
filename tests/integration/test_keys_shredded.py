"""A whole deletion by the ledger on the embedded default: the person's key before and after, and what works then."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.cli_tools import bad, good, tmu
from tests.integration.conftest import make_workspace
from tests.key_purge import with_keys
from tests.ledger_tools import BOB
from tests.nursery import Nursery
from tmu.data.keys import to_hex
from tmu.data.shards import read_keys
from tmu.data.store import RecordStore
from tmu.deletion.deletion import Stage
from tmu.deletion.journal import Journal
from tmu.errors import DataError
from tmu.ledger import approvals, proof, statement, views
from tmu.ledger.place import opened
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow
PERSON = "contributor-007"
WORDS = ("delete", "--subject", PERSON, "--method", "retrain", "--yes")


class Done:
    """A workspace after the deletion, what its files held before the purge, and the backup from before all."""

    def __init__(self, folder: Path):
        self.workspace = make_workspace(
            folder / "w",
            model={"options": {"width": 4}},
            unlearn={"method": "retrain"},
            audit={"golds": False, "probes": False},
            purge={"act": True},
        )
        self.home = self.workspace.root
        with opened(self.workspace):
            pass  # there is a ledger
        keys = self.workspace.keys(simulated=True)
        self.subject = keys.subject(PERSON)
        index = RecordStore.open(self.workspace.data).index()
        self.records = frozenset(index.keys_at(index.find_subject(self.subject)))
        good(self.home, "train", "original", "--register")
        good(self.home, "restore")  # the secret of the marks is made by `tmu init`; here by the first look
        self.backup = folder / "backup"
        shutil.copytree(self.home, self.backup)
        self.request = json.loads(tmu(self.home, *WORDS, "--json").stdout)
        self.before = self.found()
        with opened(self.workspace) as ledger:
            approvals.approve(ledger, self.request["request"], self.request["plan_hash"], BOB)
        self.outcome = good(self.home, *WORDS)
        self.workspace = Workspace.open(self.home)
        self.after = self.found()

    @property
    def keys(self) -> frozenset[str]:
        return self.records | {self.subject}

    def found(self) -> set[str]:
        """Files of the workspace that hold one of the keys, but for shards that have them as tombstones alone."""
        return {name for name in with_keys(self.home, self.keys) if not self._remembers(self.home / name)}

    def _remembers(self, path: Path) -> bool:
        try:
            shard = read_keys(path)
        except DataError:
            return False
        return frozenset((*to_hex(shard.record_keys), *to_hex(shard.people()))).isdisjoint(self.keys)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return Done(tmp_path_factory.mktemp("shredded"))


def test_the_keys_are_found_before_and_nowhere_after(done: Done) -> None:
    assert done.outcome["state"] == "completed"
    assert any(name.startswith(".tmu/ledger.db") for name in done.before)
    assert done.after == set()


def test_the_chain_the_export_and_the_views_work(done: Done, tmp_path: Path) -> None:
    id_ = done.request["request"]
    assert good(done.home, "ledger", "verify")["entries"] > 0
    good(done.home, "ledger", "export", "--out", tmp_path / "log.jsonl")
    assert good(done.home, "ledger", "verify", "--file", tmp_path / "log.jsonl")["entries"] > 0
    assert good(done.home, "request", "show", id_)["state"] == "completed"
    with opened(done.workspace) as ledger:
        proof.verify(ledger)
        said = statement.statement(ledger, id_)
        assert views.show(ledger, id_)["receipts"][0]["state"] == "forgotten"
    assert said["plan"]["n_records"] == len(done.records)
    assert said["plan"]["hash"] == done.request["plan_hash"]
    (deletion,) = Journal(done.workspace).all()
    assert deletion.stage is Stage.COMPLETED and deletion.shredded is not None
    assert good(done.home, "show", "request", deletion.id)["shredded"]["records"] == 0
    assert "shredded at" in tmu(done.home, "show", "request", deletion.id).stdout


def test_the_same_request_later_is_told_that_nothing_is_left(done: Done) -> None:
    assert "erased before" in bad(done.home, *WORDS, code=3)
    good(done.home, "request", "receive", "--subject", PERSON, "--id", "case-again")
    good(done.home, "request", "cancel", "case-again", "--reason", "nothing is left")


@pytest.mark.drill
def test_yesterdays_workspace_is_brought_up_to_date(done: Done) -> None:
    with Nursery("tmu.cli", [], dict(os.environ)) as nursery:
        brought_up_to_date(done, nursery)


def brought_up_to_date(done: Done, nursery: Nursery) -> None:
    kept = done.home.parent / "kept"
    shutil.copytree(done.home / ".tmu" / "suppression", kept)
    shutil.rmtree(done.home)
    shutil.copytree(done.backup, done.home)
    shutil.rmtree(done.home / ".tmu" / "suppression", ignore_errors=True)
    shutil.copytree(kept, done.home / ".tmu" / "suppression")

    def apart(*words: str) -> tuple[int, dict]:
        """In a process of its own: one that had MLflow's file open would go on reading the file that was replaced."""
        ended = nursery.call("--home", done.home, *words, "--json")
        return ended.returncode, json.loads(ended.stdout)

    code, found = apart("restore")
    assert (code, found["records"], found["versions"]) == (0, len(done.records), [1])
    assert [each["request"] for each in found["forgotten"]] == [done.request["request"]]
    code, said = apart("restore", "--yes")
    assert code == 0, said
    assert (code, said["serving"]) == (0, 1)  # yesterday's model was in service again; it is blocked now
    assert not done.records & set(RecordStore.open(done.workspace.data).index().keys_at(slice(None)))
    assert apart("train", "original", "--register")[0] == 0
    code, found = apart("restore")
    assert (code, found["versions"], found["serving"], found["traces"]) == (0, [], None, {})
    assert done.found() == set()
