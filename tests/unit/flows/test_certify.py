"""A search that an outage cut short is tried again, and then certified; one that a lasting cause left, is not."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows import purge, report
from flows.certify import certified
from infra.prefect_ops import reconcile
from tasks import certificate
from tasks.common import RETRY_DELAYS
from tests.ledger_tools import KEYS
from tests.purge_tools import AFTER, BEFORE
from tests.service_tools import described_home
from tests.unit.steps.test_issue_certificate import ended
from tmu.deletion.deletion import Deletion, Stage
from tmu.errors import ConfigError, StorageError
from tmu.purge.record import Record, find_record, write_record
from tmu.purge.scope import Scope
from tmu.search.ground import Ground
from tmu.search.report import NotLookedAt
from tmu.steps import issue_certificate as issuing
from tmu.steps.reissue_certificate import unanswered
from tmu.steps.search_deletion import inventory_of
from tmu.steps.stored_certificate import has_certificate
from tmu.steps.verify_erasure import report_of
from tmu.workspace import Workspace


class Store:
    """A store that cannot be looked at by the first searches. lasting: for a cause that stays."""

    name = "store"

    def __init__(self, away: int, lasting: bool = False) -> None:
        self.away, self.lasting, self.searches = away, lasting, 0

    def found(self, ground: Ground) -> Iterator[NotLookedAt]:
        if ground.shards:
            return
        self.searches += 1
        if self.searches <= self.away:
            yield NotLookedAt(haystack=self.name, address="store/x", why="it is closed", may_pass=not self.lasting)

    def accesses(self, ground: Ground) -> Iterator[Any]:
        yield from ()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(described_home(tmp_path))


@pytest.fixture
def deletion(workspace: Workspace) -> Deletion:
    """A deletion that is completed, of which the search is still to be made."""
    made = ended(workspace)
    scope = Scope(
        request=made.id, records=(KEYS.record("a"),), subjects=(KEYS.subject("b"),), before=BEFORE, after=AFTER
    )
    write_record(workspace, Record.of(scope))
    return made


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The delays before tasks were tried again; the tests do not wait for them. The run's page is not made."""
    delays: list[float] = []
    monkeypatch.setattr("tasks.plain.time", SimpleNamespace(sleep=delays.append))
    monkeypatch.setattr(report, "_markdown", lambda *_: None)
    return delays


@pytest.fixture
def searching(workspace: Workspace, deletion: Deletion, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Store]:
    """Make the store the only one, after an inventory that it answered and a purge that is verified."""

    def searching(away: int, lasting: bool = False) -> Store:
        store = Store(0)
        monkeypatch.setattr("tmu.search.run.all_haystacks", lambda: [store])
        assert inventory_of(workspace, deletion) == ()
        store.away, store.lasting, store.searches = away, lasting, 0
        at = "2999-01-01T00:00:00+00:00"
        write_record(workspace, find_record(workspace, deletion.id).with_(acted=at, verified=at))
        return store

    return searching


def set_clock(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    """The time by which another search is due or not."""

    class Clock(datetime):
        @classmethod
        def now(cls, zone: Any = None) -> datetime:
            return now

    monkeypatch.setattr("tmu.steps.reissue_certificate.datetime", Clock)


def _die(*_: Any) -> None:
    raise KeyboardInterrupt


def told(workspace: Workspace, deletion: Deletion) -> dict[str, Any]:
    (outcome,) = certified(workspace, deletion, (), [])
    return outcome


def test_an_outage_is_waited_for_and_the_certificate_is_issued(
    workspace: Workspace, deletion: Deletion, searching: Callable[..., Store], waited: list[float]
) -> None:
    store = searching(away=2)
    assert told(workspace, deletion)["path"]
    assert (store.searches, waited) == (3, RETRY_DELAYS[:2])
    assert not find_record(workspace, deletion.id).has_keys
    assert unanswered(workspace) == []


def test_what_cannot_be_known_for_a_lasting_cause_is_reported_once(
    workspace: Workspace, deletion: Deletion, searching: Callable[..., Store], waited: list[float]
) -> None:
    store = searching(away=9, lasting=True)
    assert "validation ended with UNKNOWN" in told(workspace, deletion)["why"]
    assert (store.searches, waited) == (1, [])
    assert find_record(workspace, deletion.id).has_keys
    assert unanswered(workspace) == []


def test_after_the_last_retry_reconcile_searches_again_and_certifies(
    workspace: Workspace,
    deletion: Deletion,
    searching: Callable[..., Store],
    waited: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = searching(away=4)
    assert "validation ended with UNKNOWN" in told(workspace, deletion)["why"]
    assert (store.searches, waited) == (4, RETRY_DELAYS)
    set_clock(monkeypatch, datetime.now(UTC) + timedelta(hours=1))
    assert [(each.deletion.id, each.requests) for each in unanswered(workspace)] == [(deletion.id, ())]
    sealed: list[tuple[str, ...]] = []
    monkeypatch.setattr("flows.sealed.sealed", lambda _, requests: sealed.append(requests))
    assert reconcile._certify(workspace) == 1
    assert has_certificate(workspace, deletion.id)
    assert sealed == [(deletion.id,)]
    assert reconcile._certify(workspace) == 0


def test_keys_that_a_crash_left_after_the_search_had_passed_are_destroyed_by_reconcile(
    workspace: Workspace,
    deletion: Deletion,
    searching: Callable[..., Store],
    waited: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = searching(away=0)
    with monkeypatch.context() as crash, pytest.raises(KeyboardInterrupt):
        crash.setattr("flows.certify.keys_destroyed", _die)
        certified(workspace, deletion, (), [])
    record = find_record(workspace, deletion.id)
    assert record.has_keys and store.searches == 1
    write_record(workspace, record.with_(acted="2020-01-01T00:00:00+00:00"))  # before the search, as it is
    set_clock(monkeypatch, datetime(3000, 1, 2, tzinfo=UTC))
    monkeypatch.setattr("flows.sealed.sealed", lambda *_: None)
    assert reconcile._certify(workspace) == 1
    assert not find_record(workspace, deletion.id).has_keys and store.searches == 1
    assert has_certificate(workspace, deletion.id)
    assert not workspace.state("searches", f"{deletion.id}.inventory.json").exists()
    assert reconcile._certify(workspace) == 0


def test_a_deletion_that_cannot_be_searched_for_keeps_no_other_waiting(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def certify(_: Workspace, deletion: Any, *__: Any) -> None:
        if deletion.id == "damaged":
            raise ConfigError("It is no inventory.", "Take another.")
        done.append(deletion.id)

    waiting = [(SimpleNamespace(id=name), ()) for name in ("damaged", "next", "last")]
    monkeypatch.setattr(reconcile, "unanswered", lambda _: waiting)
    monkeypatch.setattr("flows.certify.certified", certify)
    monkeypatch.setattr("flows.sealed.sealed", lambda *_: None)
    assert reconcile._certify(workspace) == 3
    assert done == ["next"]


def test_a_place_that_never_answers_is_asked_less_and_less(
    workspace: Workspace,
    deletion: Deletion,
    searching: Callable[..., Store],
    waited: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searching(away=99)
    told(workspace, deletion)
    looked = datetime.fromisoformat(report_of(workspace, deletion.id).finished)
    late = deletion.model_copy(
        update={"times": {**deletion.times, Stage.COMPLETED: (looked - timedelta(hours=1)).isoformat()}}
    )
    monkeypatch.setattr("tmu.steps.reissue_certificate.Journal.known", lambda *_: late)

    def due(hours: float) -> bool:
        set_clock(monkeypatch, looked + timedelta(hours=hours))
        return bool(unanswered(workspace))

    assert (due(0.9), due(1.1)) == (False, True)


def test_a_store_that_refuses_the_certificate_is_asked_again(
    workspace: Workspace,
    deletion: Deletion,
    searching: Callable[..., Store],
    waited: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searching(away=0)
    left, real = [1], issuing.sign_weights

    def away(*arguments: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise StorageError("S3 does not answer.", "Start it.")
        return real(*arguments)

    monkeypatch.setattr(issuing, "sign_weights", away)
    assert told(workspace, deletion)["path"]
    assert waited == RETRY_DELAYS[:1]
    (workspace.root / ".tmu" / "evidence" / deletion.id / "certificate.json").unlink()
    left[0] = 99
    assert told(workspace, deletion)["why"] == "S3 does not answer."
    assert waited == RETRY_DELAYS[:1] + RETRY_DELAYS


def test_an_inventory_that_an_outage_cut_short_is_added_to(
    workspace: Workspace, deletion: Deletion, waited: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(1)
    monkeypatch.setattr("tmu.search.run.all_haystacks", lambda: [store])
    certificate.inventory_of(workspace, deletion)
    assert (store.searches, waited) == (2, RETRY_DELAYS[:1])
    certificate.inventory_of(workspace, deletion)
    assert store.searches == 2  # a whole one is kept


def test_a_purge_does_not_wait_for_ever_for_its_inventory(
    workspace: Workspace, deletion: Deletion, waited: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, acted = Store(99), list[str]()
    monkeypatch.setattr("tmu.search.run.all_haystacks", lambda: [store])
    record = find_record(workspace, deletion.id)
    monkeypatch.setattr(purge, "plan_purge", lambda *_: record)
    monkeypatch.setattr(purge, "act_purge", lambda _, request: acted.append(request))
    monkeypatch.setattr(purge, "check_purge", lambda *_: record)
    purge.purged(workspace, deletion)
    assert (store.searches, waited, acted) == (4, RETRY_DELAYS, [deletion.id])
