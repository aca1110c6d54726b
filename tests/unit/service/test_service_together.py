"""Group commit: intakes that arrive at once share a transaction, and each gets its own answer after it."""

import asyncio
import time
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest

from tests.ledger_tools import ALICE, BOB, KEYS, asked, events, put
from tests.service_tools import Api
from tmu.errors import StorageError
from tmu.ledger import intake, proof
from tmu.ledger.actor import Actor
from tmu.ledger.errors import ConflictError
from tmu.ledger.intake import Intake
from tmu.ledger.store import Ledger
from tmu.service import together as module
from tmu.service.roles import Role
from tmu.service.together import Together


class Counting:
    """Counts the transactions, and can hold the first one open."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.sizes: list[int] = []
        self.go_on = Event()
        self.go_on.set()
        monkeypatch.setattr(module, "receive_together", self)

    def __call__(self, ledger: Ledger, keys: object, asked_: list) -> list:
        self.sizes.append(len(asked_))
        assert self.go_on.wait(60)
        return intake.receive_together(ledger, keys, asked_)


@pytest.fixture
def file_ledger(tmp_path) -> Ledger:
    return Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")  # of one file: another thread works on it


def submit(service: Together, *calls: tuple[Intake, Actor]) -> list[Future]:
    return [service.submit(*call) for call in calls]


def test_those_who_come_while_a_commit_waits_share_the_next(file_ledger: Ledger, monkeypatch) -> None:
    counting, service = Counting(monkeypatch), Together(file_ledger, KEYS, 0.0)
    counting.go_on.clear()
    first = service.submit(asked("r0", "p0"), ALICE)
    while not counting.sizes:
        time.sleep(0.001)
    rest = submit(service, *((asked(f"r{n}", f"p{n}"), BOB if n % 2 else ALICE) for n in range(1, 31)))
    assert not first.done()
    counting.go_on.set()
    assert [future.result(60).request for future in (first, *rest)] == [f"r{n}" for n in range(31)]
    assert counting.sizes == [1, 30]
    assert proof.verify(file_ledger).seq == 62


def test_each_is_answered_and_on_record_under_its_own_name(file_ledger: Ledger, monkeypatch) -> None:
    put(file_ledger, "old", "ann", by=ALICE)
    counting, service = Counting(monkeypatch), Together(file_ledger, KEYS, 0.05)
    calls = [(asked("old", "ann"), ALICE), (asked("old", "ann"), BOB), (asked("old", "bea"), ALICE)]
    calls += [(asked("new", "cid"), BOB), (asked("new", "cid"), BOB), (asked("new", "cid"), ALICE)]
    answers = [future.result(60) for future in submit(service, *calls)]
    assert counting.sizes == [6]
    assert [isinstance(answer, ConflictError) for answer in answers] == [False, True, True, False, False, True]
    assert [answers[n].new for n in (0, 3, 4)] == [False, True, False]
    with file_ledger.read() as connection:
        told = connection.exec_driver_sql("SELECT body FROM audit_log WHERE request_id = 'new'").scalars().all()
    assert len(told) == 2
    assert all('"actor":"bob"' in body for body in told)


def test_a_fault_of_one_does_not_touch_the_others(file_ledger: Ledger) -> None:
    service, calls = Together(file_ledger, KEYS, 0.05), [(asked(f"r{n}", f"p{n}"), ALICE) for n in range(6)]
    calls[3] = (calls[3][0].model_copy(update={"source": None}), ALICE)  # the database refuses it
    futures = submit(service, *calls)
    found = [future.exception(60) for future in futures]
    assert [type(error).__name__ for error in found] == [*["NoneType"] * 3, "IntegrityError", *["NoneType"] * 2]
    assert proof.verify(file_ledger).seq == 10


def test_a_ledger_that_refuses_refuses_all_of_a_group_and_the_next_is_served(file_ledger: Ledger, monkeypatch) -> None:
    service = Together(file_ledger, KEYS, 0.02)

    def away(*_: object) -> list:
        raise StorageError("The ledger does not answer.", "Later.")

    with monkeypatch.context() as patch:
        patch.setattr(module, "receive_together", away)
        futures = submit(service, *((asked(f"r{n}", f"p{n}"), ALICE) for n in range(3)))
        assert all(isinstance(future.exception(60), StorageError) for future in futures)
    assert service.submit(asked("r0", "p0"), ALICE).result(60).new


def test_who_gave_up_before_the_commit_is_left_out(file_ledger: Ledger, monkeypatch) -> None:
    service = Together(file_ledger, KEYS, 0.1)
    futures = submit(service, *((asked(f"r{n}", f"p{n}"), ALICE) for n in range(3)))
    assert futures[1].cancel()
    assert [futures[n].result(60).request for n in (0, 2)] == ["r0", "r2"]
    assert events(file_ledger, "r1") == []
    lonely = service.submit(asked("r7", "p7"), ALICE)
    lonely.cancel()
    assert service.submit(asked("r8", "p8"), ALICE).result(60).new  # the work went on after a group of nobody


def test_a_group_has_a_limit_of_intakes_and_of_keys(file_ledger: Ledger, monkeypatch) -> None:
    counting, service = Counting(monkeypatch), Together(file_ledger, KEYS, 0.0)
    monkeypatch.setattr(module, "_MOST", 4)
    monkeypatch.setattr(module, "_MOST_KEYS", 10)
    sizes = [3, 3, 4, 1, 11, 1, 1, 1, 1, 1]
    counting.go_on.clear()  # the first commit waits, and the others collect behind it
    first = service.submit(asked("first", "somebody"), ALICE)
    while not counting.sizes:
        time.sleep(0.001)
    people = [[f"p{number}-{n}" for n in range(size)] for number, size in enumerate(sizes)]
    futures = submit(service, *((asked(f"r{number}", *each), ALICE) for number, each in enumerate(people)))
    counting.go_on.set()
    assert all(future.result(60).new for future in (first, *futures))
    assert counting.sizes == [1, 3, 1, 1, 4, 1]  # of keys: 3 + 3 + 4, 1, 11, 1 + 1 + 1 + 1, 1


def test_single_calls_that_arrive_at_once_share_commits(api: Api, monkeypatch) -> None:
    counting = Counting(monkeypatch)
    other = api.token("other", Role.REQUESTER)
    with ThreadPoolExecutor(16) as threads:
        bodies = [{"id": f"case-{n % 30}", "subjects": [f"person {n % 30}"]} for n in range(60)]
        calls = [("requester" if n < 30 else other, "POST", "/requests", body) for n, body in enumerate(bodies)]
        answers = list(threads.map(lambda call: api.call(*call), calls))
    by_id = [{answers[n].status_code, answers[n + 30].status_code} for n in range(30)]
    assert by_id == [{201, 409}] * 30  # one of the two callers got it, the other was refused
    assert len(counting.sizes) < sum(counting.sizes) == 60
    assert proof.verify(api.ledger).seq == 5 + 60  # five tokens


def test_a_caller_waits_for_the_commit(file_ledger: Ledger, monkeypatch) -> None:
    counting, service = Counting(monkeypatch), Together(file_ledger, KEYS, 0.0)
    counting.go_on.clear()

    async def call() -> str:
        waiting = asyncio.create_task(service.receive(asked("r1", "p1"), ALICE))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        counting.go_on.set()
        return (await waiting).request

    assert asyncio.run(call()) == "r1"


def test_a_thread_that_cannot_be_started_holds_up_nobody(file_ledger: Ledger, monkeypatch) -> None:
    service = Together(file_ledger, KEYS, 0.0)

    def none_left(self: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(module.Thread, "start", none_left)
        with pytest.raises(RuntimeError):
            service.submit(asked("r1", "p1"), ALICE)
    assert service.submit(asked("r2", "p2"), ALICE).result(60).new
    assert events(file_ledger, "r1") == []
