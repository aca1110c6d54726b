"""Halves of D: by person, both sides of a pair together all of D, other halves for another pair or seed."""

import torch

from tmu.references.halves import learned_by, sides

PEOPLE = torch.randint(-(2**62), 2**62, (300,), generator=torch.Generator().manual_seed(3))
SUBJECTS = PEOPLE[torch.randint(0, 300, (2000,), generator=torch.Generator().manual_seed(4))]
TRAIN = torch.arange(2000) % 3 != 0


def test_all_records_of_a_person_lie_on_one_side() -> None:
    seen = learned_by(SUBJECTS, TRAIN, 4, seed=1)
    assert seen.shape == (2000, 8)
    for person in PEOPLE:
        mine = seen[SUBJECTS.eq(person) & TRAIN]
        assert (mine == mine[:1]).all()


def test_each_record_of_d_is_learned_by_one_network_of_each_pair_and_no_other_record_by_any() -> None:
    seen = learned_by(SUBJECTS, TRAIN, 4, seed=1)
    assert (seen.reshape(2000, 4, 2).sum(2)[TRAIN] == 1).all()
    assert not seen[~TRAIN].any()


def test_the_halves_are_about_equal_and_drawn_anew_for_each_pair_and_seed() -> None:
    drawn = [sides(PEOPLE, pair, seed) for pair, seed in ((0, 1), (1, 1), (0, 2))]
    assert all(0.4 < float(side.double().mean()) < 0.6 for side in drawn)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert 0.4 < float((drawn[first] == drawn[second]).double().mean()) < 0.6


def test_a_side_depends_on_the_person_alone() -> None:
    """Erasing people moves nobody else to the other half."""
    some = torch.arange(2000) % 7 == 0
    assert torch.equal(learned_by(SUBJECTS, TRAIN, 2, 1)[some], learned_by(SUBJECTS[some], TRAIN[some], 2, 1))
