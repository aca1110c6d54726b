"""The table of moves, and that one place alone gives a request its state."""

import ast
import itertools
import re
from itertools import pairwise
from pathlib import Path

import pytest

import tmu.ledger
from tmu.ledger.errors import ConflictError
from tmu.ledger.states import ALLOWED, ENDED, OPEN, RUNNING, STUCK, WAITING, State, check_move

ROOM = Path(tmu.ledger.__file__).parent
MAIN_LINE = (
    "received", "queued", "planned", "awaiting_approval", "approved", "forgetting_data", "unlearning", "auditing",
    "promoting", "purging", "verifying", "completed",
)  # fmt: skip


def test_every_state_has_its_row_and_belongs_to_one_group() -> None:
    assert set(ALLOWED) == set(State)
    assert sorted([*WAITING, State.HELD, *RUNNING, *STUCK, *ENDED]) == sorted(State)
    assert set(OPEN) == set(State) - set(ENDED)


def test_the_main_line_and_its_side_steps_are_allowed() -> None:
    for old, new in pairwise(MAIN_LINE):
        check_move("r", State(old), State(new))
    for line in (
        ("received", "unverified", "queued", "held", "queued"),
        ("auditing", "escalated_retrain", "promoting"),
    ):
        for old, new in pairwise(line):
            check_move("r", State(old), State(new))


def test_the_document_has_the_same_table_and_draws_only_what_is_allowed() -> None:
    text = (ROOM.parents[1] / "docs" / "ledger.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\|$", text.split("## Rules")[0], re.MULTILINE)
    assert {old: set(re.findall(r"`(\w+)`", new)) for old, new in rows} == ALLOWED
    drawn = re.findall(r"^ +(\w+) --> (\w+)", text, re.MULTILINE)
    assert len(drawn) > 15
    for old, new in drawn:
        check_move("r", State(old), State(new))


def test_nothing_follows_an_end_and_every_state_can_be_reached() -> None:
    assert all(not ALLOWED[state] for state in ENDED)
    reached, todo = {State.RECEIVED}, [State.RECEIVED]
    while todo:
        new = ALLOWED[todo.pop()] - reached
        reached |= new
        todo += new
    assert reached == set(State)


TURNS = [State.CANCELLED, State.DENIED, State.HELD, State.DUPLICATE, State.APPROVED]
LEGAL_HOLD = [(State.FORGETTING_DATA, State.HELD), (State.FORGETTING_DATA, State.APPROVED)]
"""The one way back, where a hold comes before the erasing: `executions.stand_back`."""


@pytest.mark.parametrize(
    ("old", "new"), [move for move in itertools.product([*RUNNING, *STUCK], TURNS) if move not in LEGAL_HOLD]
)
def test_past_the_point_of_no_return_nobody_turns_back(old: State, new: State) -> None:
    with pytest.raises(ConflictError, match=r"past the point of no return|cannot become `approved`"):
        check_move("r", old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("queued", "approved"),
        ("planned", "approved"),
        ("awaiting_approval", "forgetting_data"),
        ("held", "approved"),
        ("unverified", "planned"),
        ("approved", "unlearning"),
        ("auditing", "completed"),
        ("promoting", "unlearning"),
    ],
)
def test_short_cuts_are_refused_with_what_is_possible(old: str, new: str) -> None:
    with pytest.raises(ConflictError, match="From here: "):
        check_move("r", State(old), State(new))


def test_data_are_only_touched_with_an_approval_or_after_a_failure() -> None:
    assert {old for old in State if State.FORGETTING_DATA in ALLOWED[old]} == {State.APPROVED, *STUCK}


def _names_a_state(call: ast.Call) -> bool:
    return any(each.arg == "state" for each in call.keywords)


def test_only_one_place_writes_a_state() -> None:
    """`.values(...)` with `state` on `requests` is in transition.py; intake inserts what `enter` gave it."""
    found = [
        path.name
        for path in sorted(ROOM.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "sa.update" and "requests" in ast.unparse(node.args)
    ]
    # batches.py sets batch_id alone, shred.py what becomes of the keys
    assert found == ["batches.py", "shred.py", "shred.py", "transition.py", "transition.py"]
    shred = (ROOM / "shred.py").read_text()
    given = [node.func for node in ast.walk(ast.parse(shred)) if isinstance(node, ast.Call) and _names_a_state(node)]
    assert {ast.unparse(each)[: len("sa.update(forget_entries)")] for each in given} == {"sa.update(forget_entries)"}
    assert '"state"' not in shred
    assert '"state"' not in (ROOM / "batches.py").read_text()
    assert "state=" not in (ROOM / "batches.py").read_text()
