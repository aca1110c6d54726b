"""What holds for all deletions of a ridge head: any records, in any order, one by one or together."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tmu.ridge.solve import solve
from tmu.ridge.statistics import Statistics

_N, _CLASSES = 30, 3


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**31),
    st.floats(1e-3, 200),
    st.permutations(range(_N)),
    st.integers(1, _N - 2),
    st.lists(st.integers(1, 7), min_size=1, max_size=8),
)
def test_deleting_in_any_order_and_any_batches_is_retraining(seed, size, order, gone, batches):
    drawn = torch.Generator().manual_seed(seed)
    features = size * torch.randn(_N, 5, generator=drawn)
    labels = torch.randint(0, _CLASSES, (_N,), generator=drawn)
    left, at = Statistics.of(features, labels, _CLASSES), 0
    while at < gone:
        rows = torch.tensor(order[at : min(gone, at + batches[at % len(batches)])])
        left, at = left - Statistics.of(features[rows], labels[rows], _CLASSES), at + len(rows)
    stays = torch.tensor(sorted(order[gone:]))
    anew = Statistics.of(features[stays], labels[stays], _CLASSES)
    assert left.equals(anew)
    assert solve(left, 1.0).distance(solve(anew, 1.0)) <= 1e-9


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, _N))
def test_what_is_added_and_taken_away_again_leaves_nothing(seed, cut):
    drawn = torch.Generator().manual_seed(seed)
    features, labels = torch.randn(_N, 4, generator=drawn), torch.randint(0, _CLASSES, (_N,), generator=drawn)
    first, second = (Statistics.of(features[part], labels[part], _CLASSES) for part in (slice(cut), slice(cut, None)))
    assert (first + second - first).equals(second)
    assert (first + second).equals(Statistics.of(features, labels, _CLASSES))
