"""kill -9 in the middle of intakes, and two processes at one ledger: nothing lost, nothing doubled, one batch."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.ledger_tools import approved
from tmu.ledger import proof
from tmu.ledger.schema import forget_entries, receipts, requests
from tmu.ledger.store import Ledger

ROOT = Path(__file__).parents[2]
ALL = [f"r{number}" for number in range(200)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@contextmanager
def child(file: Path, *arguments: str) -> Iterator[subprocess.Popen]:
    """A process that has imported everything and waits to be told to go on."""
    script = str(Path(__file__).with_name("ledger_child.py"))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, script, str(file), *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
            yield process
        finally:
            process.kill()


def go(process: subprocess.Popen) -> None:
    process.stdin.write("go\n")
    process.stdin.flush()


def rest(process: subprocess.Popen) -> list[str]:
    lines = process.stdout.read().split()
    assert process.wait(60) == 0, process.stderr.read()
    return lines


def stored(file: Path) -> list[str]:
    with Ledger.open(f"sqlite:///{file}").read() as connection:
        return list(connection.scalars(sa.select(requests.c.id)))


def test_kill_9_amid_intakes_loses_and_doubles_nothing(file: Path) -> None:
    with child(file, "intake", "0", "200") as process:
        go(process)
        acknowledged = [process.stdout.readline().strip() for _ in range(100)]
        process.kill()
        acknowledged += process.stdout.read().split()
        assert process.wait(60) == -9
    before = stored(file)
    assert acknowledged == ALL[: len(acknowledged)]
    assert 100 <= len(acknowledged) < 200  # it was killed in the middle
    assert set(acknowledged) <= set(before)
    assert len(before) <= len(acknowledged) + 1  # at most the one that was under way
    proof.verify(Ledger.open(f"sqlite:///{file}"))

    with child(file, "intake", "0", "200") as process:
        go(process)
        assert rest(process) == ALL
    assert sorted(stored(file)) == sorted(ALL)
    ledger = Ledger.open(f"sqlite:///{file}")
    with ledger.read() as connection:
        for table in (forget_entries, receipts):
            assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 200
    assert proof.verify(ledger).seq == 400


def test_two_processes_make_one_ledger_and_one_chain(file: Path) -> None:
    with child(file, "intake", "0", "30") as first, child(file, "intake", "20", "50") as second:
        go(first)
        go(second)
        assert rest(first) == ALL[:30]
        assert rest(second) == ALL[20:50]
    assert sorted(stored(file)) == sorted(ALL[:50])
    assert proof.verify(Ledger.open(f"sqlite:///{file}")).seq == 100


def test_of_two_processes_that_take_a_batch_one_works(file: Path) -> None:
    approved(Ledger.open(f"sqlite:///{file}"), "r1")
    with child(file, "take") as first, child(file, "take") as second:
        go(first)
        go(second)
        said = sorted([*rest(first), *rest(second)], key=len)
    assert [len(said[0]), said.count("refused")] == [len("refused"), 1]
    ledger = Ledger.open(f"sqlite:///{file}")
    with ledger.read() as connection:
        assert connection.scalar(sa.select(requests.c.batch_id)) == said[1]
    assert proof.verify(ledger)
