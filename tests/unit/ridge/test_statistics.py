"""Statistics of a ridge head: whole numbers, that fit what they stand for, and nothing else is taken for them."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import one_hot

from tmu.errors import DataError, ModelError
from tmu.ridge.grid import LIMIT, halves, on_grid
from tmu.ridge.solve import SCALE, solve
from tmu.ridge.statistics import Statistics, summed
from tmu.ridge.stored import NAME, read, to_bytes


def records(n: int, width: int = 6, classes: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = torch.Generator().manual_seed(seed)
    features = 3 * torch.randn(n, width, generator=drawn).relu()
    return features, torch.randint(0, classes, (n,), generator=drawn)


def test_the_halves_of_a_number_give_it_again_up_to_the_ends_of_the_grid():
    edge = LIMIT - 2**-20
    grid = on_grid(torch.tensor([[edge, -edge, 0.0, 2**-20, -(2**-20), 1 / 3]], dtype=torch.float64))
    high, low = halves(grid)
    assert torch.equal((high * 2**16 + low).long(), grid)
    assert int(high.abs().max()) <= 2**15
    assert -(2**15) <= int(low.min()) <= int(low.max()) < 2**15
    assert int(grid[0, -1]) == 2**20  # the column of ones


@pytest.mark.parametrize("bad", [LIMIT, -LIMIT, float("nan"), float("inf")])
def test_features_that_do_not_fit_the_grid_are_refused(bad):
    with pytest.raises(ModelError, match=r"not all finite and below 2048.*normalised"):
        Statistics.of(torch.tensor([[1.0, bad]]), torch.tensor([0]), 2)


def test_the_sums_are_the_moments_and_the_head_solves_their_equations():
    features, labels = records(200)
    found, solved = Statistics.of(features, labels, 3), None
    phi = torch.cat([features.double(), torch.ones(200, 1)], 1)
    wanted = one_hot(labels, 3).double()
    assert torch.allclose(found.moments, phi.T @ phi, rtol=1e-6)
    assert torch.allclose(found.responses, phi.T @ wanted, rtol=1e-6)
    assert found.records == 200
    solved = solve(found, 2.0)
    penalty = torch.diag(torch.tensor([2.0] * 6 + [0.0], dtype=torch.float64))
    exact = torch.linalg.solve(phi.T @ phi + penalty, phi.T @ wanted)
    assert torch.allclose(torch.cat([solved.weight, solved.bias[:, None]], 1), exact.T, atol=1e-6)
    errors = ((phi @ exact - wanted) ** 2).sum(1).mean()
    assert solved.loss == pytest.approx(float(errors), rel=1e-5)
    assert solved.condition == pytest.approx(float(torch.linalg.cond(found.moments + penalty, 1)), rel=1e-6)


def test_thousands_of_deletions_one_by_one_leave_what_a_retraining_sums_bit_for_bit():
    features, labels = records(3000, width=12)
    left = Statistics.of(features, labels, 3)
    order = torch.randperm(3000, generator=torch.Generator().manual_seed(1))
    for row in order[:2500].tolist():
        left = left - Statistics.of(features[row : row + 1], labels[row : row + 1], 3)
    stays = order[2500:]
    anew = Statistics.of(features[stays], labels[stays], 3)
    assert left.equals(anew)
    assert left.distance(anew) == 0
    assert solve(left, 1.0).distance(solve(anew, 1.0)) <= 1e-9


def test_the_same_deletions_on_float64_sums_drift():
    """Why the sums are of whole numbers: this is the rounding that they spare."""
    features, _ = records(3000, width=12)
    phi = torch.cat([features.double(), torch.ones(3000, 1)], 1)
    left = phi.T @ phi
    for row in range(2900):
        left -= phi[row][:, None] * phi[row]
    assert not torch.equal(left, phi[2900:].T @ phi[2900:])


def test_many_records_are_summed_in_parts():
    features, labels = records(9000, width=2)
    parts = summed(((features[at : at + 100], labels[at : at + 100]) for at in range(0, 9000, 100)), 3)
    assert parts is not None
    assert parts.equals(Statistics.of(features, labels, 3))
    assert summed([], 3) is None


def test_a_distance_sees_one_record():
    features, labels = records(300)
    whole, most = Statistics.of(features, labels, 3), Statistics.of(features[1:], labels[1:], 3)
    assert 1e-9 < whole.distance(most) < 0.1
    assert not whole.equals(most)


def test_statistics_of_other_shapes_are_not_mixed():
    with pytest.raises(DataError, match="6 features and 3 classes, the others of 5"):
        Statistics.none(6, 3) - Statistics.none(5, 3)


def test_what_cannot_be_solved_is_refused_and_says_what_to_raise():
    alike = torch.ones(50, 4) / 3
    with pytest.raises(ModelError, match=r"cannot be solved.*Raise `train\.ridge`"):
        solve(Statistics.of(alike, torch.zeros(50, dtype=torch.int64), 2), 1e-300)
    with pytest.raises(ModelError, match="no record"):
        solve(Statistics.none(4, 2), 1.0)
    assert solve(Statistics.of(alike, torch.zeros(50, dtype=torch.int64), 2), 1.0).residual < 1e-9


def test_logits_are_scores_times_a_constant():
    features, labels = records(40)
    solved, net = solve(Statistics.of(features, labels, 3), 1.0), torch.nn.Linear(6, 3)
    solved.put_into(net)
    scores = features.double() @ solved.weight.T + solved.bias
    assert torch.allclose(net(features).double(), SCALE * scores, atol=1e-4)
    assert solved.distance_to_head(net) == 0
    with torch.no_grad():
        net.weight[0, 0] += 0.01
    assert solved.distance_to_head(net) > 1e-6


def test_a_file_gives_the_statistics_again(tmp_path):
    found = Statistics.of(*records(50), 3)
    (tmp_path / NAME).write_bytes(to_bytes(found))
    assert read(tmp_path / NAME).equals(found)
    assert to_bytes(read(tmp_path / NAME)) == to_bytes(found)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("sums", lambda each: each.double()),
        ("high", lambda each: each[:-1]),
        ("counts", lambda each: each[:-1]),
        ("low", lambda each: each[:, 0].contiguous()),
        ("cross", None),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, name, change):
    (tmp_path / NAME).write_bytes(to_bytes(Statistics.of(*records(50), 3)))
    tensors = load_file(tmp_path / NAME)
    tensors |= {name: change(tensors[name])} if change else {}
    save_file({key: value for key, value in tensors.items() if change or key != name}, tmp_path / NAME)
    with pytest.raises(DataError, match=NAME):
        read(tmp_path / NAME)


def test_a_cut_file_is_refused(tmp_path):
    (tmp_path / NAME).write_bytes(to_bytes(Statistics.of(*records(50), 3))[:-1])
    with pytest.raises(DataError, match="not readable"):
        read(tmp_path / NAME)
