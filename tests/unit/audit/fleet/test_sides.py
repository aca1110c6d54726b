import numpy as np

from tmu.audit.fleet.sides import halves


def test_halves_are_disjoint_of_one_size_and_follow_the_seed():
    fleet = np.arange(9.0)[:, None].repeat(2, axis=1)
    first, second = halves(fleet, seed=3)
    drawn = np.concatenate([first, second])[:, 0]
    assert first.shape == second.shape == (4, 2) and len(np.unique(drawn)) == 8
    assert not (halves(fleet, seed=4)[0] == first).all()
    assert (halves(fleet, seed=3)[0] == first).all()
