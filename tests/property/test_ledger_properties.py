"""What holds in any order of calls: allowed moves only, idempotent intake, a chain that shows all change, the month."""

import calendar
import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule

from tests.ledger_tools import ALICE, BOB, FLOW, KEYS, STAGES, START, Travel, asked, in_memory
from tmu.errors import RequestError
from tmu.ledger import approvals, batches, decisions, executions, holds, intake, plans, proof, views
from tmu.ledger.clock import LEVELS, Clock, add_months, due, extend, level, percent, resume
from tmu.ledger.errors import ConflictError
from tmu.ledger.log import Head, Link, first_broken, make_link
from tmu.ledger.schema import audit_log, forget_entries, receipts, requests
from tmu.ledger.schema import batches as batches_table
from tmu.ledger.states import ALLOWED, ENDED, RUNNING, State

PEOPLE = st.lists(st.sampled_from(["ann", "bea", "cid"]), min_size=1, max_size=2, unique=True)
OUTCOME = st.sampled_from(["completed", "failed", "partially_failed", "interrupted"])
DATASET = st.sampled_from(["faces", "hands"])


class Life(RuleBasedStateMachine):
    """Any call at any time: it is obeyed or refused, and the ledger holds together either way."""

    ids, hold_ids, tokens, batch_ids = Bundle("ids"), Bundle("holds"), Bundle("tokens"), Bundle("batches")

    def __init__(self) -> None:
        super().__init__()
        self.now = Travel()
        self.ledger = in_memory(self.now)
        self.entries = 0
        self.held = False

    def teardown(self) -> None:
        self.ledger.close()

    @rule(target=ids, number=st.integers(0, 5), people=PEOPLE, dataset=DATASET, flags=st.tuples(*[st.booleans()] * 2))
    def receive(self, number: int, people: list[str], dataset: str, flags: tuple[bool, bool]) -> str:
        wanted = asked(f"r{number}", *people, dataset=dataset, urgent=flags[0], identity_verified=flags[1])
        rows = self._count()
        with contextlib.suppress(ConflictError):
            receipt = intake.receive(self.ledger, KEYS, wanted, ALICE)
            assert self._count() == rows + receipt.new
            assert not intake.receive(self.ledger, KEYS, wanted, ALICE).new
        return wanted.id

    @rule(id_=ids)
    def check_identity(self, id_: str) -> None:
        self._try(decisions.verify_identity, id_, BOB)

    @rule(id_=ids, number=st.integers(0, 1), reached=PEOPLE)
    def plan(self, id_: str, number: int, reached: list[str]) -> None:
        keys = [KEYS.subject(name) for name in reached]
        self._try(plans.bind_plan, id_, {"plan": number}, subjects=keys, actor=FLOW)

    @rule(id_=ids, number=st.integers(0, 1), actor=st.sampled_from([ALICE, BOB, FLOW]))
    def approve(self, id_: str, number: int, actor: object) -> None:
        bound = self._try(plans.ask_approval, id_, FLOW)
        was = self._state(id_)
        self._try(approvals.approve, id_, bound or "0" * 64, actor)
        if actor is not BOB:
            assert self._state(id_) is was

    @rule(target=ids, number=st.integers(0, 5), people=PEOPLE, dataset=DATASET)
    def straight_to_approved(self, number: int, people: list[str], dataset: str) -> str:
        """The usual way, so that batches are not rare."""
        id_ = self.receive(number, people, dataset, (False, True))
        self._try(plans.bind_plan, id_, {"plan": 2}, subjects=[], actor=FLOW)
        self.approve(id_, 0, BOB)
        return id_

    @rule(target=tokens, dataset=DATASET, stages=st.integers(1, len(STAGES)), outcome=OUTCOME)
    def serve(self, dataset: str, stages: int, outcome: str) -> object:
        """A batch from beginning to end, or to where it stops; its token may be used again, too late."""
        with self.ledger.read() as connection:
            batch = batches.open_batch(connection, dataset)
        token = self.begin(batch or self.take(dataset, "normal"))
        if isinstance(token, int):
            self.advance(token, len(STAGES) if outcome == "completed" else stages)
            self.finish(token, outcome)
        return token

    @precondition(lambda self: not self.held)  # one at a time: else hardly anything would ever be served
    @rule(target=hold_ids, scope=st.sampled_from(["all", "faces", "ann"]))
    def hold(self, scope: str) -> str:
        scopes = {
            "all": holds.Scope("all"),
            "faces": holds.Scope("dataset", dataset="faces"),
            "ann": holds.Scope("subject", subject=KEYS.subject("ann")),
        }
        self.held = True
        return holds.hold(self.ledger, scopes[scope], "court file 12", BOB)[0]

    @rule(hold_id=consumes(hold_ids))
    def release(self, hold_id: str) -> None:
        self.held = False
        holds.release(self.ledger, hold_id, "file closed", BOB)

    @rule(id_=ids, end=st.sampled_from([decisions.deny, decisions.cancel, views.show, views.show]))
    def end(self, id_: str, end: object) -> None:
        """Denied, cancelled, or only looked at."""
        self._try(end, id_, *(() if end is views.show else ("taken back", BOB)))

    @rule(id_=ids, days=st.integers(0, 20))
    def wait_and_extend(self, id_: str, days: int) -> None:
        self.now.on(days=days)
        self._try(decisions.extend, id_, "many models", BOB)

    @rule(target=batch_ids, dataset=DATASET, lane=st.sampled_from(["normal", "urgent"]))
    def take(self, dataset: str, lane: str) -> object:
        batch = self._try(batches.take_batch, dataset, FLOW, lane=lane)
        return batch.id if batch else multiple()

    @rule(target=tokens, batch=batch_ids)
    def begin(self, batch: str) -> object:
        execution = self._try(executions.begin, batch, FLOW) if isinstance(batch, str) else None
        return execution.token if execution else multiple()

    @rule(token=tokens, stages=st.integers(1, len(STAGES)))
    def advance(self, token: int, stages: int) -> None:
        for stage in STAGES[:stages]:
            self._try(executions.advance, token, stage, FLOW)

    @rule(token=tokens, outcome=OUTCOME)
    def finish(self, token: int, outcome: str) -> None:
        self._try(executions.finish, token, outcome, FLOW)

    @rule(batch=batch_ids)
    def reopen(self, batch: str) -> None:
        self._try(executions.reopen, batch, "try again", BOB)

    @invariant()
    def the_log_is_sound_and_never_shrinks(self) -> None:
        head = proof.verify(self.ledger)
        assert head.seq >= self.entries
        self.entries = head.seq

    @invariant()
    def every_move_on_record_was_allowed(self) -> None:
        now: dict[str, str] = {}
        for body in self._scalars(sa.select(audit_log.c.body).order_by(audit_log.c.seq)):
            entry = json.loads(body)
            if "to" in entry["facts"]:
                old, new = entry["facts"].get("from"), State(entry["facts"]["to"])
                assert now.get(entry["request"]) == old
                assert old is None or new in ALLOWED[State(old)]
                now[entry["request"]] = new

    @invariant()
    def one_open_batch_and_nobody_in_two_places(self) -> None:
        open_ = self._scalars(sa.select(batches_table.c.dataset).where(batches_table.c.closed_at.is_(None)))
        assert len(open_) == len(set(open_))
        running = sa.select(requests).where(requests.c.state.in_(RUNNING), requests.c.batch_id.is_(None))
        assert self._scalars(running) == []

    @invariant()
    def who_is_not_forgotten_is_still_asked_for(self) -> None:
        """Every open or taken entry has a live receipt of an open request."""
        live = sa.exists().where(
            receipts.c.entry_id == forget_entries.c.id,
            receipts.c.withdrawn_at.is_(None),
            receipts.c.request_id == requests.c.id,
            requests.c.state.not_in(ENDED),
        )
        lost = sa.select(forget_entries.c.id).where(forget_entries.c.state.in_(("open", "taken")), ~live)
        assert self._scalars(lost) == []

    @invariant()
    def what_is_completed_is_forgotten(self) -> None:
        left = (
            sa.select(forget_entries.c.id)
            .join(receipts, receipts.c.entry_id == forget_entries.c.id)
            .join(requests, receipts.c.request_id == requests.c.id)
            .where(requests.c.state.in_(("completed", "duplicate")), forget_entries.c.state != "forgotten")
        )
        assert self._scalars(left) == []

    def _try(self, service: object, *arguments: object, **more: object) -> object:
        try:
            return service(self.ledger, *arguments, **more)
        except RequestError:
            return None

    def _count(self) -> int:
        return self._scalars(sa.select(sa.func.count()).select_from(requests))[0]

    def _state(self, id_: str) -> State | None:
        found = self._scalars(sa.select(requests.c.state).where(requests.c.id == id_))
        return State(found[0]) if found else None

    def _scalars(self, wanted: object) -> list:
        with self.ledger.read() as connection:
            return list(connection.scalars(wanted))


Life.TestCase.settings = settings(max_examples=12, stateful_step_count=30, deadline=None)
TestLife = Life.TestCase


def chain(reasons: list[str]) -> list[Link]:
    links, head = [], Head()
    for number, reason in enumerate(reasons):
        links.append(make_link(head, START, ALICE, "denied", f"r{number}", reason, {"to": "denied"}))
        head = Head(links[-1].seq, links[-1].hash)
    return links


PRINTABLE = st.text(st.characters(exclude_categories=("C", "Z")), max_size=8)
REASONS = st.lists(PRINTABLE, min_size=2, max_size=8)


@given(REASONS, st.data())
def test_every_flipped_bit_is_found(reasons: list[str], data: st.DataObject) -> None:
    links = chain(reasons)
    at = data.draw(st.integers(0, len(links) - 1))
    column = data.draw(st.sampled_from(["body", "hash", "request", "event"]))
    raw = bytearray(getattr(links[at], column).encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    links[at] = replace(links[at], **{column: raw.decode("utf-8", "surrogateescape")})
    _, broken = first_broken(links)
    assert broken is not None
    assert broken.seq == at + 1


@given(REASONS, st.data())
def test_every_removed_row_is_found(reasons: list[str], data: st.DataObject) -> None:
    links = chain(reasons)
    head = Head(links[-1].seq, links[-1].hash)
    at = data.draw(st.integers(0, len(links) - 1))
    _, broken = first_broken(links[:at] + links[at + 1 :], head)
    assert broken is not None
    assert broken.seq == at + 1


@given(REASONS, st.data())
def test_every_other_order_is_found_numbered_anew_or_not(reasons: list[str], data: st.DataObject) -> None:
    links = chain(reasons)
    order = list(data.draw(st.permutations(range(len(links)))))
    if order == sorted(order):
        at = data.draw(st.integers(0, len(links) - 2))
        order[at : at + 2] = order[at + 1], order[at]
    moved = [links[at] for at in order]
    first = next(at for at, was in enumerate(order) if at != was)
    for found in (moved, [replace(link, seq=number) for number, link in enumerate(moved, 1)]):
        _, broken = first_broken(found)
        assert broken is not None
        assert broken.seq == first + 1


AT = st.datetimes(datetime(2024, 1, 1), datetime(2040, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))
ZONE = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland", "Asia/Kolkata"]).map(ZoneInfo)


@given(AT, st.integers(1, 3), ZONE)
def test_a_date_is_the_same_day_or_the_last_of_its_month(at: datetime, months: int, zone: ZoneInfo) -> None:
    before, after = at.astimezone(zone), add_months(at, months, zone).astimezone(zone)
    assert (after.year * 12 + after.month) - (before.year * 12 + before.month) == months
    last = calendar.monthrange(after.year, after.month)[1]
    assert after.day == min(before.day, last)
    wall = after.replace(tzinfo=None) - before.replace(tzinfo=None)
    assert wall % timedelta(days=1) in (timedelta(0), timedelta(hours=1))  # an hour that summer time leaves out


@given(AT, ZONE, st.integers(0, 40 * 86_400), st.integers(0, 40 * 86_400))
def test_a_pause_moves_the_date_by_itself(at: datetime, zone: ZoneInfo, begins: int, lasts: int) -> None:
    stopped = Clock(at, paused_since=at + timedelta(seconds=begins))
    over = at + timedelta(seconds=begins + lasts)
    going = resume(stopped, over)
    assert due(going, over, zone) == due(Clock(at), at, zone) + timedelta(seconds=lasts) == due(stopped, over, zone)
    assert abs(percent(going, over, zone) - percent(Clock(at), at + timedelta(seconds=begins), zone)) < 1e-6


@given(AT, ZONE, st.floats(0, 3))
def test_warnings_follow_the_share_of_time(at: datetime, zone: ZoneInfo, share: float) -> None:
    clock = Clock(at)
    now = at + share * (due(clock, at, zone) - at)
    used = percent(clock, now, zone)
    assert abs(used - 100 * share) < 1e-3
    assert level(clock, now, zone) == max((each for each in LEVELS if used >= each), default=0)


@given(AT, ZONE, st.floats(0, 1))
def test_an_extension_only_ever_gives_time(at: datetime, zone: ZoneInfo, share: float) -> None:
    clock = Clock(at)
    now = at + share * (due(clock, at, zone) - at)
    longer = extend(clock, now, zone)
    assert timedelta(days=58) <= due(longer, now, zone) - due(clock, now, zone) <= timedelta(days=63)
    assert percent(longer, now, zone) <= percent(clock, now, zone)
