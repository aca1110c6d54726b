"""The law of the evidence: false alarms on people nobody knows, alike or not; who is found; the distance's floor."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.audit.by_table.simulated import World
from tmu.audit.by_table.audit import audit_by_table
from tmu.audit.by_table.layer import layer_of, unseen_nets
from tmu.audit.by_table.membership import memberships

SEEDS = range(5)


def _people(alike: float, records: int, lift: float = 1.0) -> dict[str, np.ndarray]:
    """p-values of 60 people in each of five worlds, by every score: under an honest retrain, and under the original."""
    found: dict[str, list[np.ndarray]] = {}
    for seed in SEEDS:
        world = World(seed, alike=alike, lift=lift)
        for each in memberships(layer_of(world.case(60, records, model=1001 + seed)), 0):
            found.setdefault(each.kind, []).append(each.people["unlearned"].member)
            found.setdefault(f"{each.kind} low", []).append(each.people["unlearned"].low)
            found.setdefault(f"{each.kind} original", []).append(each.people["original"].member)
    return {name: np.concatenate(each) for name, each in found.items()}


@pytest.mark.parametrize("alike", [0.0, 1.5])
@pytest.mark.parametrize("records", [1, 10])
def test_no_more_than_one_in_a_hundred_unknown_people_is_accused(alike: float, records: int) -> None:
    found = _people(alike, records)
    for kind in ("online", "rmia", "offline"):
        assert (found[kind] <= 0.01).mean() <= 0.02, kind  # 300 people: 6, where 3 are expected
        assert (found[kind] <= 0.1).mean() <= 0.14, kind


def test_taking_a_persons_records_for_independent_would_accuse_too_often() -> None:
    world = World(alike=1.5)
    found = memberships(layer_of(world.case(60, 20)), 0)
    offline = next(each for each in found if each.kind == "offline")
    independent = replace(offline.law, person=0.0, network=0.0)
    assert offline.law.person > 0.1
    widths = [law.own + law.person * 19 for law in (offline.law, independent)]
    spread = np.std(offline.people["unlearned"].evidence)
    assert spread < 1.6 < spread * np.sqrt(widths[0] / widths[1])


def test_known_people_are_found_the_more_records_they_have() -> None:
    found = [_people(0.0, records) for records in (1, 10, 30)]
    power = [(each["online original"] <= 0.01).mean() for each in found]
    assert power[0] < power[1] < power[2]
    assert power[2] > 0.9


def test_a_test_record_faces_the_network_that_knows_its_person() -> None:
    world = World()
    case = world.case(2, 10)
    learned = np.zeros(tuple(case.test.rows.seen.shape), bool)
    learned[:, [1, 2, 5, 6]] = True
    faced = unseen_nets(replace(case.test, acquainted=learned), 0)
    assert (faced == [1, 2, 5, 6]).all()
    drawn = unseen_nets(case.test, 0)
    assert 0.4 < (drawn[:, 0] == 0).mean() < 0.6


def test_people_whom_every_network_answers_in_its_own_way_do_not_fail_by_distance() -> None:
    worlds = [World(seed, alike=2.5, lift=6.0) for seed in range(8)]
    rules = [audit_by_table(world.case(1, 8)).data["rules"]["distance"] for world in worlds]
    assert rules.count("failed") == 0
