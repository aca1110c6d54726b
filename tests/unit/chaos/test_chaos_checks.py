"""Every check of the chaos matrix holds on good facts, and bites on what it is there to find."""

from dataclasses import replace

import pytest

from tests.chaos import checks
from tests.chaos.cells import EXTRAS, FAULTS, STAGES, STATES, chosen, effect_of, extras, matrix
from tests.chaos.extras import EXTRA
from tests.chaos.facts import Before, Facts, Model, broken_chain
from tests.chaos.faults import INJECT
from tests.ledger_tools import in_memory, put

OLD, NEW = "a.dir", "b.dir"
MODELS = [
    Model(1, "original", "w1", OLD, True),
    Model(2, "gold", "w2", NEW, False),
    Model(3, "gold", "w3", NEW, False),
    Model(4, "unlearned", "w4", NEW, False),
]
GOOD = Facts(
    person="p",
    before=Before(OLD, {"p": 9, "q": 8}, 1, {1}),
    state="completed",
    events=["received", *STATES, "completed"],
    attempts=["superseded", "completed"],
    chain=None,
    evidence=[f"dvc:{NEW}"],
    revision=NEW,
    pointer=NEW,
    people={"q": 8},
    models=MODELS,
    champion=4,
    serves={"version": 4, "weights": "w4"},
    cut_overs=1,
    running=[],
    journal="completed",
    unfinished=0,
)


def test_good_facts_pass_every_check() -> None:
    assert set(checks.judge(GOOD).values()) == {None}


BROKEN = {
    "certified_and_sealed": [{"certificate": "there is no certificate"}, {"bundle": "the evidence is not sealed"}],
    "completed_once": [{"state": "auditing"}, {"events": [*GOOD.events, "completed"]}],
    "every_stage_once": [{"events": [*GOOD.events, "promoting"]}, {"events": ["completed"]}],
    "one_attempt_succeeded": [
        {"attempts": ["completed", "completed"]},
        {"attempts": ["completed", None]},
        {"attempts": ["failed", "completed"]},
        {"attempts": []},
    ],
    "chain_holds": [{"chain": "Entry 7 of the audit log does not follow the one before."}],
    "one_data_revision": [
        {"evidence": [f"dvc:{NEW}", "dvc:c.dir"]},
        {"evidence": []},
        {"pointer": OLD},
        {"revision": OLD, "pointer": OLD, "evidence": [f"dvc:{OLD}"]},
    ],
    "only_the_person_is_gone": [{"people": {"p": 9, "q": 8}}, {"people": {"p": 1, "q": 8}}, {"people": {"q": 7}}],
    "no_version_twice": [
        {"models": [*MODELS, Model(5, "unlearned", "w4", NEW, False)]},
        {"models": [*MODELS, Model(5, "unlearned", "w5", NEW, False)]},
        {"models": MODELS[:3]},
    ],
    "champion_is_the_last_cut_over": [
        {"champion": 2},
        {"champion": None},
        {"serves": None},
        {"serves": {"version": 4, "weights": "other"}},
        {"cut_overs": 2},
        {"models": [replace(MODELS[0], blocked=False), *MODELS[1:]]},
        {"models": [*MODELS[:3], replace(MODELS[3], blocked=True)]},
        {"models": [*MODELS[:3], replace(MODELS[3], revision=OLD)]},
    ],
    "nothing_runs": [{"running": ["MLflow run batch: RUNNING"]}, {"running": ["flow run x: RUNNING"]}],
    "journal_is_closed": [{"journal": "audited"}, {"unfinished": 1}, {"journal": None}],
    "nothing_is_left_over": [{"leftovers": [".tmu/revisions/a.dir"]}],
}


@pytest.mark.parametrize(("check", "broken"), [(name, each) for name, many in BROKEN.items() for each in many])
def test_a_check_finds_what_it_is_there_for(check: str, broken: dict) -> None:
    assert checks.judge(replace(GOOD, **broken))[check]


def test_every_check_is_shown_biting() -> None:
    assert {check.__name__ for check in checks.CHECKS} == set(BROKEN)


def test_a_log_that_was_changed_past_the_ledger_is_found() -> None:
    ledger = in_memory()
    put(ledger, "one")
    assert broken_chain(ledger) is None
    with ledger.engine.begin() as connection:
        for (trigger,) in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").all():
            connection.exec_driver_sql(f"DROP TRIGGER {trigger}")
        connection.exec_driver_sql("UPDATE audit_log SET body = replace(body, 'alice', 'carol') WHERE seq = 1")
    assert "Entry 1" in broken_chain(ledger)


def test_every_cell_can_be_run() -> None:
    assert set(INJECT) == set(FAULTS)
    assert set(EXTRA) == set(EXTRAS)
    assert len(matrix()) == len(STAGES) * len(FAULTS) == 80
    assert len(set(matrix() + extras())) == 80 + len(EXTRAS)


def test_cells_are_chosen_by_pattern() -> None:
    assert [str(cell) for cell in chosen(["auditing/flow"])] == ["auditing/flow"]
    assert len(chosen(["*ing/disk"])) == len(STAGES) - 1
    assert len(chosen([])) == 80 + len(EXTRAS)


def test_the_place_of_a_fault_is_drawn_by_name_and_within_the_stage() -> None:
    cell, other = matrix()[:2]
    places = {effect_of(cell, 40, attempt) for attempt in range(30)}
    assert effect_of(cell, 40) == effect_of(cell, 40)
    assert places <= set(range(40)) and len(places) > 5
    assert effect_of(other, 1) == 0 == effect_of(other, 0)
