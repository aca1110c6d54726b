"""`tmu request` and `tmu ledger`: ids become keys at once, exit codes, JSON, and nothing stored by looking."""

import json
import sqlite3
from pathlib import Path

import pytest

from tests.cli_tools import bad, good, names, tmu
from tests.service_tools import described_home
from tmu.data.keys import DEMO_SECRET, Keys

KEYS = Keys(DEMO_SECRET)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The ledger needs the store's name and secret, not its records."""
    return described_home(tmp_path)


def receive(home: Path, id_: str = "case-1", person: str = "maria", *more: str) -> dict:
    return good(home, "request", "receive", "--subject", person, "--id", id_, *more)


def test_looking_makes_no_ledger(home: Path) -> None:
    before = names(home)
    assert good(home, "request", "list") == []
    assert good(home, "request", "list", "--holds") == []
    assert good(home, "ledger", "board") == []
    assert "No request is open." in tmu(home, "ledger", "board").stdout
    for verb in (("request", "show", "case-1"), ("ledger", "verify"), ("ledger", "export", "--out", home / "x")):
        assert "no ledger in this workspace" in bad(home, *verb, code=7)
    assert names(home) == before


def test_a_request_is_received_once(home: Path) -> None:
    first = receive(home)
    assert (first["request"], first["state"], first["new"], first["paused"]) == ("case-1", "queued", True, False)
    assert receive(home)["new"] is False
    assert "already recorded with other content" in bad(
        home, "request", "receive", "--subject", "else", "--id", "case-1", code=3
    )
    assert [each["request"] for each in good(home, "request", "list", "--state", "queued")] == ["case-1"]
    assert (
        "case-1 is already recorded" in tmu(home, "request", "receive", "--subject", "maria", "--id", "case-1").stdout
    )


def test_without_an_id_there_is_a_new_one_each_time(home: Path) -> None:
    ids = {good(home, "request", "receive", "--record", "img-1")["request"] for _ in range(2)}
    assert len(ids) == 2


def test_no_raw_id_is_stored_or_printed(home: Path, tmp_path: Path) -> None:
    (tmp_path / "ask.txt").write_text("maria-in-a-file\n")
    shown = [
        tmu(home, "request", "receive", "--subject", "maria", "--record", "maria-01", "--id", "case-1").output,
        tmu(home, "request", "receive", "--file", tmp_path / "ask.txt", "--id", "case-2").output,
        tmu(home, "request", "hold", "--subject", "maria", "--reason", "court file 12").output,
        tmu(home, "request", "show", "case-1").output,
        tmu(home, "request", "show", "case-1", "--json").output,
        tmu(home, "request", "list", "--holds").output,
    ]
    assert "held" in shown[3]
    (tmp_path / "ask.txt").unlink()
    stored = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert KEYS.subject("maria").encode() in stored
    assert b"maria" not in stored
    assert "maria" not in "".join(shown)


def test_a_request_file_has_the_form_of_the_api(home: Path, tmp_path: Path) -> None:
    whole = {"id": "case-7", "subjects": ["maria"], "urgent": True, "identity_verified": False}
    (tmp_path / "ask.json").write_text(json.dumps(whole))
    first = good(home, "request", "receive", "--file", tmp_path / "ask.json")
    assert (first["request"], first["state"]) == ("case-7", "unverified")
    assert good(home, "request", "list")[0]["urgent"] is True
    assert good(home, "request", "receive", "--file", tmp_path / "ask.json")["new"] is False


def test_an_id_in_a_file_is_looked_for_in_the_text_too(home: Path, tmp_path: Path) -> None:
    """It was not: only the ids of the options were."""
    (tmp_path / "ask.txt").write_text("Maria-Cruz\n")
    (tmp_path / "ask.json").write_text('{"id": "case-maria-1", "subjects": ["Maria"]}')
    for verb in (("--file", tmp_path / "ask.txt", "--id", "del-MARIA-CRUZ"), ("--file", tmp_path / "ask.json")):
        assert "contains an id of this call" in bad(home, "request", "receive", *verb, code=3)
    hold = ("request", "hold", "--subject", "Jose\u0301", "--reason", "file of jos\u00e9")
    assert "contains an id of this call" in bad(home, *hold, code=3)


def test_an_id_typed_into_a_stored_text_is_refused(home: Path) -> None:
    for verb in (
        ("request", "receive", "--subject", "maria", "--id", "del-Maria-1"),
        ("request", "hold", "--subject", "maria", "--reason", "MARIA's lawyer"),
    ):
        line = bad(home, *verb, code=3)
        assert "contains an id of this call" in line
        assert "maria" not in line.casefold()
    assert not (home / ".tmu" / "ledger.db").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["receive"], 3, "names no person"),
        (["receive", "--subject", "x", "--id", "a b"], 3, "cannot be received: id"),
        (["list", "--state", "lost"], 2, "no state `lost`"),
        (["list", "--state", "held", "--holds"], 2, "Leave one out"),
        (["hold", "--reason", "why"], 2, "scope is not clear"),
        (["hold", "--all", "--dataset", "digits", "--reason", "why"], 2, "scope is not clear"),
        (["deny", "case-9", "--reason", "why"], 3, "no request case-9"),
        (["deny", "case-1", "--reason", "see m@example.org"], 3, "The reason is empty, longer"),
        (["release", "0" * 32, "--reason", "why"], 3, "no hold"),
    ],
)
def test_what_is_wrong_has_its_exit_code(home: Path, arguments: list[str], code: int, told: str) -> None:
    receive(home)
    assert told in bad(home, "request", *arguments, code=code)
    assert good(home, "ledger", "verify")["entries"] == 2


def test_the_life_of_requests_by_command(home: Path) -> None:
    assert receive(home, "case-1", "ann", "--unverified")["state"] == "unverified"
    assert good(home, "request", "verify-identity", "case-1", "--reason", "code by post")["state"] == "queued"
    assert good(home, "request", "extend", "case-1", "--reason", "four models")["request"] == "case-1"
    held = good(home, "request", "hold", "--dataset", "digits", "--reason", "court file 12")
    assert held["stopped"] == ["case-1"]
    assert receive(home, "case-2", "bea", "--urgent")["state"] == "held"
    assert good(home, "request", "list", "--holds")[0]["id"] == held["hold"]
    assert held["hold"] in tmu(home, "request", "list", "--holds").stdout  # whole, to be copied
    freed = good(home, "request", "release", held["hold"], "--reason", "closed")
    assert sorted(freed["released"]) == ["case-1", "case-2"]
    assert good(home, "request", "deny", "case-1", "--reason", "legal claims")["state"] == "denied"
    assert good(home, "request", "cancel", "case-2", "--reason", "letter", "--withdrawn")["state"] == "cancelled"
    assert "has ended" in bad(home, "request", "cancel", "case-1", "--reason", "late", code=3)
    shown = good(home, "request", "show", "case-1")
    assert [json.loads(body)["event"] for body in shown["log"]][-1] == "denied"
    assert "legal claims" in tmu(home, "request", "show", "case-1").stdout


def test_the_board_for_people_and_machines(home: Path) -> None:
    receive(home)
    (line,) = good(home, "ledger", "board", "--seconds-per-request", "5000000")
    assert (line["request"], line["warning"], line["misses"]) == ("case-1", 0, True)
    assert 27 < line["days_left"] < 32
    shown = tmu(home, "ledger", "board", "--seconds-per-request", "5000000", env={"COLUMNS": "150"}).stdout
    assert "case-1" in shown
    assert "will miss its date" in shown
    assert "will miss" not in tmu(home, "ledger", "board", "--seconds-per-request", "1", env={"COLUMNS": "150"}).stdout


def test_verify_and_export_by_command(home: Path) -> None:
    receive(home)
    head = good(home, "ledger", "verify")["head"]
    file = home / "log.jsonl"
    assert good(home, "ledger", "export", "--out", file) == {"file": str(file), "entries": 2, "head": head}
    assert good(home, "ledger", "verify", "--file", file, "--head", head)["head"] == head
    file.write_text("\n".join(file.read_text().splitlines()[:1]))
    assert "Entry 2 of the audit log is missing" in bad(
        home, "ledger", "verify", "--file", file, "--head", head, code=4
    )
    assert "SEQ:HASH" in bad(home, "ledger", "verify", "--head", "2", code=2)


def test_the_head_of_the_last_check_shows_a_cut_end_without_being_named(home: Path) -> None:
    receive(home)
    (home / ".tmu" / "verified.head").write_text(good(home, "ledger", "verify")["head"])
    good(home, "ledger", "verify")
    with sqlite3.connect(home / ".tmu" / "ledger.db") as raw:
        raw.execute("DROP TRIGGER audit_log_no_delete")
        raw.execute("DELETE FROM audit_log WHERE seq = 2")
    assert "Entry 2 of the audit log is missing" in bad(home, "ledger", "verify", code=4)


def test_a_ledger_that_was_tampered_with_exits_4(home: Path) -> None:
    receive(home)
    with sqlite3.connect(home / ".tmu" / "ledger.db") as raw:
        raw.execute("DROP TRIGGER audit_log_no_update")
        raw.execute("UPDATE audit_log SET body = replace(body, 'operator', 'somebody') WHERE seq = 2")
    assert "Entry 2 of the audit log was changed" in bad(home, "ledger", "verify", code=4)


def test_the_settings_say_where_and_in_which_zone(home: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.db"
    env = {"TMU_LEDGER": f"sqlite:///{elsewhere}", "TMU_TIME_ZONE": "Europe/Berlin"}
    good(home, "request", "receive", "--subject", "ann", env=env)
    assert elsewhere.exists()
    assert not (home / ".tmu" / "ledger.db").exists()
    assert "time_zone" in bad(home, "ledger", "board", code=2, env=env | {"TMU_TIME_ZONE": "Mars/Phobos"})
    assert "no database" in bad(home, "ledger", "board", code=2, env={"TMU_LEDGER": "nonsense"})


def test_a_batch_that_failed_is_reopened_by_a_person(home: Path) -> None:
    from tests.ledger_tools import FLOW, approved, begun
    from tmu.ledger import batches, executions
    from tmu.ledger.place import open_ledger
    from tmu.workspace import Workspace

    ledger = open_ledger(Workspace.open(home))
    approved(ledger, "case-1")
    execution = begun(ledger)
    executions.finish(ledger, execution.token, "failed", FLOW, "a test")
    assert good(home, "ledger", "reopen", execution.batch, "--reason", "disk enlarged")["open"]
    with ledger.read() as connection:
        assert batches.open_batch(connection, "faces") == execution.batch
    assert "no batch of that id" in bad(home, "ledger", "reopen", "nothing", "--reason", "why", code=3)
    ledger.close()
