"""Intake from files: on record exactly once whatever dies when, and no raw id is left of what was taken."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.ledger_tools import KEYS
from tests.service_tools import described_home
from tmu.ledger import proof
from tmu.ledger.place import open_ledger
from tmu.ledger.schema import outbox, receipts, requests
from tmu.steps.ledger import take_in_files as step
from tmu.steps.ledger.take_in_files import QUIET, take_in_files
from tmu.workspace import Workspace

NONE = {"files": 0, "received": 0, "known": 0, "refused": 0, "unfinished": 0}
ANNA, BEN = {"id": "case-1", "subjects": ["anna-17"]}, {"id": "case-2", "subjects": ["ben-18"], "urgent": True}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(described_home(tmp_path))


def inbox(workspace: Workspace, *parts: str) -> Path:
    return workspace.state("inbox", *parts)


def drop(workspace: Workspace, name: str, content: Any, age: float = 0) -> Path:
    path = inbox(workspace, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    os.utime(path, (time.time() - age,) * 2)
    return path


def on_record(workspace: Workspace) -> dict[str, str]:
    ledger = open_ledger(workspace)
    with ledger.read() as connection:
        rows = connection.execute(sa.select(requests.c.id, requests.c.source)).tuples().all()
        assert connection.scalar(sa.select(sa.func.count()).select_from(outbox)) == len(rows)
        assert connection.scalar(sa.select(sa.func.count()).select_from(receipts)) == len(rows)
    proof.verify(ledger)
    ledger.close()
    return dict(rows)


def left(workspace: Workspace) -> list[str]:
    folder = inbox(workspace)
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != ".lock"
    )


def reason(workspace: Workspace, name: str) -> str:
    value = json.loads(inbox(workspace, "refused", f"{name}.reason.json").read_text())
    assert value["what"] and value["hint"]
    return value["what"]


@pytest.mark.parametrize("content", [[ANNA, BEN], {"requests": [ANNA, BEN]}])
def test_requests_are_on_record_and_the_raw_ids_are_gone(workspace: Workspace, content: Any) -> None:
    drop(workspace, "today.json", content)
    assert take_in_files(workspace) == NONE | {"files": 1, "received": 2}
    assert on_record(workspace) == {"case-1": "file", "case-2": "file"}
    assert left(workspace) == ["done/today.json.receipt.json"]
    receipt = json.loads(inbox(workspace, "done", "today.json.receipt.json").read_text())
    assert [(each["request"], each["state"]) for each in receipt["requests"]] == [
        ("case-1", "queued"),
        ("case-2", "queued"),
    ]
    assert all(each["due"] > "2026" for each in receipt["requests"])
    everything = b"".join(path.read_bytes() for path in workspace.state().rglob("*") if path.is_file())
    assert b"anna-17" not in everything
    assert KEYS.subject("anna-17").encode() in everything


def test_one_request_and_nothing_at_all(workspace: Workspace) -> None:
    assert take_in_files(workspace) == NONE
    assert inbox(workspace).stat().st_mode & 0o777 == 0o700
    assert not workspace.state("ledger.db").exists()
    drop(workspace, "one.json", ANNA)
    assert take_in_files(workspace)["received"] == 1
    assert take_in_files(workspace) == NONE


def test_the_same_file_again_is_the_same_request(workspace: Workspace) -> None:
    for expected in ({"received": 1}, {"known": 1}):
        drop(workspace, "one.json", ANNA)
        assert take_in_files(workspace) == NONE | {"files": 1} | expected
    assert left(workspace) == ["done/one.json.receipt.json"]
    drop(workspace, "one.json", BEN)
    take_in_files(workspace)
    assert left(workspace) == ["done/2-one.json.receipt.json", "done/one.json.receipt.json"]


def test_what_is_on_record_for_something_else_is_refused_and_the_rest_is_taken(workspace: Workspace) -> None:
    drop(workspace, "a.json", ANNA)
    take_in_files(workspace)
    drop(workspace, "b.json", [BEN, ANNA | {"subjects": ["zoe-19"]}])
    assert take_in_files(workspace) == NONE | {"files": 1, "received": 1, "refused": 1}
    assert sorted(on_record(workspace)) == ["case-1", "case-2"]
    assert "1 of its 2 requests" in reason(workspace, "b.json")
    assert "number 2" in reason(workspace, "b.json")
    assert "case-2" in inbox(workspace, "done", "b.json.receipt.json").read_text()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "contains no request"),
        ('{"id": "case-1", "subjects": ["anna-17"], "subjects": ["ben-18"]}', "same key twice"),
        (ANNA | {"subjects": ["anna\u200b-17"]}, r"U\+200B"),
        (ANNA | {"subjects": [" "]}, "empty"),
        ('"anna-17"', "The whole"),
        ([ANNA, {"id": "case-2"}], "request 2: .*names no person"),
        ([ANNA, {"id": "case-2", "subjects": "ben-18"}], "request 2, `subjects`"),
        (ANNA | {"anna-17": 1}, "request 1: Extra inputs"),
        (ANNA | {"dataset": "anna-17"}, "dataset that is not served"),
        (ANNA | {"id": "about-anna-17"}, "`id` contains an id"),
        (ANNA | {"urgent": "yes"}, "`urgent`"),
        ({"requests": [ANNA], "more": 1}, "request 1"),
        ({"id": "case-1", "subject_keys": ["anna-17"]}, "`subject_keys`"),
    ],
)
def test_a_bad_file_is_put_aside_whole_with_a_reason_that_repeats_nothing(
    workspace: Workspace, content: Any, why: str
) -> None:
    path = drop(workspace, "bad.json", content, age=QUIET + 1)
    was = path.read_bytes()
    assert take_in_files(workspace) == NONE | {"files": 1, "refused": 1}
    assert left(workspace) == ["refused/bad.json", "refused/bad.json.reason.json"]
    assert inbox(workspace, "refused", "bad.json").read_bytes() == was
    assert inbox(workspace, "refused", "bad.json").stat().st_mode & 0o777 == 0o600
    text = inbox(workspace, "refused", "bad.json.reason.json").read_text()
    assert re.search(why, text)
    for word in ("anna", "ben-18", "case-"):
        assert word not in text
    assert not workspace.state("ledger.db").exists()


def test_a_name_that_holds_an_id_is_refused(workspace: Workspace) -> None:
    drop(workspace, "Anna-17.json", ANNA)
    assert take_in_files(workspace)["refused"] == 1
    assert "the file's name" in reason(workspace, "Anna-17.json")


def test_two_bad_files_of_one_name_are_both_kept(workspace: Workspace) -> None:
    for _ in range(2):
        drop(workspace, "bad.json", "[]")
        take_in_files(workspace)
    assert len(left(workspace)) == 4


def test_a_file_that_is_being_written_is_left_alone_until_it_is_whole(workspace: Workspace) -> None:
    path = drop(workspace, "slow.json", json.dumps(ANNA)[:-5])
    assert take_in_files(workspace) == NONE | {"unfinished": 1}
    assert path.exists()
    path.write_text(json.dumps(ANNA))
    assert take_in_files(workspace)["received"] == 1


def test_a_file_that_takes_the_place_of_one_being_taken_is_not_lost(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive_all = step.receive_all

    def slow(*arguments: Any) -> Any:
        drop(workspace, "today.json", BEN)
        return receive_all(*arguments)

    drop(workspace, "today.json", ANNA)
    monkeypatch.setattr(step, "receive_all", slow)
    take_in_files(workspace)
    monkeypatch.undo()
    take_in_files(workspace)
    assert sorted(on_record(workspace)) == ["case-1", "case-2"]


def test_too_large_a_file_is_refused_unread(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "MOST_BYTES", 20)
    drop(workspace, "big.json", ANNA)
    assert take_in_files(workspace)["refused"] == 1
    assert "more than" in reason(workspace, "big.json")


def test_links_folders_and_other_names_are_not_touched(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(json.dumps(ANNA))
    drop(workspace, "notes.txt", "anna-17")
    drop(workspace, ".hidden.json", ANNA)
    inbox(workspace, "link.json").symlink_to(tmp_path / "elsewhere")
    inbox(workspace, "folder.json").mkdir()
    os.mkfifo(inbox(workspace, "pipe.json"))
    assert take_in_files(workspace) == NONE


def test_many_requests_go_in_parts(workspace: Workspace) -> None:
    drop(workspace, "many.json", [{"id": f"r{n}", "subjects": [f"person-{n}"]} for n in range(1001)])
    assert take_in_files(workspace)["received"] == 1001
    assert len(on_record(workspace)) == 1001


STEPS: list[tuple[Any, str]] = [
    (step, "receive_all"),
    (step, "write_json"),
    (os, "replace"),
    (os, "fsync"),
    (Path, "unlink"),
]


def _dies(workspace: Workspace, at: int, *, after: bool) -> bool:
    """Take in files in a child that kills itself before or after the `at`-th writing step; False: it got through."""
    child = os.fork()
    if child == 0:
        left_over = [at]

        def deadly(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **named: Any) -> Any:
                left_over[0] -= 1
                mine = left_over[0] == 0
                if mine and not after:
                    os.kill(os.getpid(), signal.SIGKILL)
                value = real(*arguments, **named)
                if mine:
                    os.kill(os.getpid(), signal.SIGKILL)
                return value

            return call

        for place, name in STEPS:
            setattr(place, name, deadly(getattr(place, name)))
        try:
            take_in_files(workspace)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("after", [False, True])
def test_kill_9_at_every_writing_step_changes_nothing_of_the_end(tmp_path: Path, after: bool) -> None:
    kills, died = 0, True
    while died:
        folder = tmp_path / str(kills)
        folder.mkdir()
        workspace = Workspace.open(described_home(folder))
        drop(workspace, "a.json", [ANNA, BEN])
        drop(workspace, "b.json", "[]")
        kills += 1
        died = _dies(workspace, kills, after=after)
        take_in_files(workspace)
        assert sorted(on_record(workspace)) == ["case-1", "case-2"]
        assert left(workspace) == ["done/a.json.receipt.json", "refused/b.json", "refused/b.json.reason.json"]
    assert kills > 10  # or the steps were not met


def test_two_calls_at_once_take_every_file_once(workspace: Workspace) -> None:
    for number in range(30):
        drop(workspace, f"{number}.json", {"id": f"r{number}", "subjects": [f"person-{number}"]})
    children = [os.fork() or os._exit(take_in_files(workspace)["known"]) for _ in range(2)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    assert len(on_record(workspace)) == 30
    assert len(left(workspace)) == 30


def test_a_name_too_long_for_its_receipt_stops_nobody(workspace: Workspace) -> None:
    drop(workspace, f"{'a' * 240}.json", ANNA)
    drop(workspace, "b.json", BEN)
    assert take_in_files(workspace) == NONE | {"files": 2, "received": 2}
    assert take_in_files(workspace) == NONE
    assert [len(name) < 80 for name in left(workspace)] == [True, True]


def test_a_receipt_that_somebody_changed_stops_nobody(workspace: Workspace) -> None:
    drop(workspace, "a.json", ANNA)
    take_in_files(workspace)
    inbox(workspace, "done", "a.json.receipt.json").write_text("no JSON")
    drop(workspace, "a.json", BEN)
    assert take_in_files(workspace) == NONE | {"files": 1, "received": 1}
    assert left(workspace) == ["done/2-a.json.receipt.json", "done/a.json.receipt.json"]
