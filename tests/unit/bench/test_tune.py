"""The search on the twin: an equal budget for every method, and scores against the free gold alone."""

import copy

import pytest
import torch

from bench.tune import _divide, _scores
from bench.tune_grid import GRID
from tests.synthetic import blobs
from tmu.unlearn import get_method, method_names, read_options


def test_every_method_but_retrain_has_four_candidates_and_at_most_two_more():
    assert set(GRID) == set(method_names()) - {"retrain"}
    for method, grid in GRID.items():
        assert 4 <= len(grid) <= 6, method
        assert len({tuple(sorted(options.items())) for options in grid}) == len(grid)
        for options in grid:
            read_options(method, options)


def test_the_defaults_are_among_the_candidates():
    """What the product uses was in the search; SSD's published alpha selects nothing at a tenth and is not."""
    for method in set(GRID) - {"ssd"}:
        default = get_method(method).Options()
        assert any(default.model_copy(update=options) == default for options in GRID[method]), method


def test_the_asked_part_and_the_rest_are_the_hold_out():
    holdout = blobs(60)
    asked, rest = _divide(holdout, 20, 3)
    assert (len(asked), len(rest)) == (20, 40)
    assert sorted([*asked.keys.tolist(), *rest.keys.tolist()]) == sorted(holdout.keys.tolist())
    again, _ = _divide(holdout, 20, 4)
    assert again.keys.tolist() != asked.keys.tolist()


def test_the_gold_itself_scores_zero_and_another_model_does_not(solved):
    asked, train = solved.holdout, solved.train
    itself = _scores(copy.deepcopy(solved.original), solved.original, asked, train)
    assert itself["score"][0] == pytest.approx(0.0, abs=1e-6)
    other = _scores(solved.twin.model, solved.original, asked, train)
    assert other["score"][0] > 0.05
    assert other["ua"][0] < other["ua_gold"][0]
    with torch.no_grad():
        broken = copy.deepcopy(solved.original)
        for parameter in broken.parameters():
            parameter.zero_()
    assert _scores(broken, solved.original, asked, train)["score"][0] > other["score"][0]
