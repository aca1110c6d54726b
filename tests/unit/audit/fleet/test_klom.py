import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmu.audit.fleet.klom import klom_oracle_vs_unlearned
from tmu.errors import DataError


def _slow(oracle, unlearned, span=None):
    found = []
    for column in range(oracle.shape[1]):
        o, u = (np.clip(side[:, column], *(span or (-100, 100))) for side in (oracle, unlearned))
        low, high = span or (min(o.min(), u.min()), max(o.max(), u.max()))
        edges = np.linspace(low, high if high > low else low + 1, 21)
        p, q = (np.histogram(side, bins=edges)[0] / len(side) for side in (o, u))
        q = [max(b, 1e-5) if a > 0 else b for a, b in zip(p, q, strict=True)]
        found.append(sum(a * np.log(a / (b / sum(q))) for a, b in zip(p, q, strict=True) if a > 0))
    return np.array(found)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10_000),
    st.integers(2, 30),
    st.integers(2, 30),
    st.sampled_from([0.0, 0.1, 1.0, 90.0]),
    st.booleans(),
)
def test_against_numpy_histograms(seed, a, b, scale, rounded):
    rng = np.random.default_rng(seed)
    oracle, unlearned = rng.normal(0, scale, (a, 5)), rng.normal(0.5, scale, (b, 5))
    if rounded:  # many samples on the edges
        oracle, unlearned = np.round(oracle), np.round(unlearned)
    assert klom_oracle_vs_unlearned(oracle, unlearned) == pytest.approx(_slow(oracle, unlearned), abs=1e-9)
    fixed = klom_oracle_vs_unlearned(oracle, unlearned, span=(-2.0, 3.0))
    assert fixed == pytest.approx(_slow(oracle, unlearned, (-2.0, 3.0)), abs=1e-9)


def test_the_largest_sample_is_counted():
    """With an open right edge both sides would lose their 1 and agree."""
    oracle, unlearned = np.array([[0.0], [1.0], [1.0]]), np.array([[0.0], [0.0], [1.0]])
    expected = 1 / 3 * np.log(1 / 2) + 2 / 3 * np.log(2)
    assert klom_oracle_vs_unlearned(oracle, unlearned) == pytest.approx([expected])


def test_the_direction_is_that_of_the_name():
    oracle, unlearned = np.array([[0.0], [0.0], [0.0], [1.0]]), np.array([[0.0], [0.0], [0.0], [0.0]])
    one_way, other_way = klom_oracle_vs_unlearned(oracle, unlearned), klom_oracle_vs_unlearned(unlearned, oracle)
    assert one_way == pytest.approx([0.25 * np.log(0.25 / 1e-5) + 0.75 * np.log(0.75)], abs=1e-4)
    assert other_way == pytest.approx([np.log(4 / 3)])


def test_disjoint_fleets_reach_the_cap_and_a_fixed_range_sees_no_more_than_it_spans():
    rng = np.random.default_rng(0)
    oracle, unlearned = rng.normal(0, 0.01, (50, 3)), rng.normal(9, 0.01, (50, 3))
    assert klom_oracle_vs_unlearned(oracle, unlearned) == pytest.approx([np.log(1e5)] * 3, abs=0.01)
    assert klom_oracle_vs_unlearned(oracle, unlearned, span=(-5.0, -1.0)) == pytest.approx([0.0] * 3)


@pytest.mark.parametrize(("models", "expected"), [(100, 0.35), (200, 0.15)])
def test_the_floor_of_one_law_is_as_measured_and_a_shift_rises_above_it(models, expected):
    rng = np.random.default_rng(models)
    oracle, same, more = (rng.normal(0, 1, (count, 400)) for count in (models, models, 2 * models))
    floor = klom_oracle_vs_unlearned(oracle, same).mean()
    assert floor == pytest.approx(expected, rel=0.15)
    assert klom_oracle_vs_unlearned(more, same).mean() < floor  # more oracles: comparing these two would flatter
    assert klom_oracle_vs_unlearned(oracle, same + 1).mean() > 2 * floor


def test_sides_that_cannot_be_compared_are_refused():
    fleet = np.zeros((8, 3))
    with pytest.raises(DataError, match="shapes"):
        klom_oracle_vs_unlearned(fleet, np.zeros((8, 4)))
    with pytest.raises(DataError, match="not all finite"):
        klom_oracle_vs_unlearned(fleet, np.full((8, 3), np.nan))
    with pytest.raises(DataError, match="at least 2"):
        klom_oracle_vs_unlearned(fleet[:1], fleet)
    with pytest.raises(DataError, match="range"):
        klom_oracle_vs_unlearned(fleet, fleet, span=(1.0, 1.0))
