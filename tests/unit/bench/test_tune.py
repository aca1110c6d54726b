"""The search on the twin: an equal budget for every method, and scores against the free gold alone."""

import copy
from types import SimpleNamespace

import pytest
import torch
from pydantic import Field

from bench import results, tune
from bench.tune import _divide, _scores, candidates
from bench.variants import needs_references
from tests.synthetic import blobs
from tmu.config import Config
from tmu.unlearn import get_method, method_names, needs_statistics, read_options

TUNED = sorted(
    name for name in set(method_names()) - {"retrain"} if not needs_references(name) and not needs_statistics(name)
)


def test_every_method_but_retrain_has_four_candidates_and_at_most_two_more():
    assert candidates("retrain") == []
    for method in TUNED:
        grid = candidates(method)
        assert 4 <= len(grid) <= 6, method
        assert len({tuple(sorted(options.items())) for options in grid}) == len(grid)
        for options in grid:
            read_options(method, options)


def test_the_defaults_are_among_the_candidates():
    """What the product uses was in the search; SSD's published alpha selects nothing at a tenth and is not."""
    for method in set(TUNED) - {"ssd"}:
        default = get_method(method).Options()
        assert any(default.model_copy(update=options) == default for options in candidates(method)), method


def test_what_is_stored_is_what_the_files_name():
    """The labels are unchanged: nothing that was measured would be run again."""
    stored = set(results.read("tune-on-twin")["method"].to_pylist()) - {"do nothing"}
    named = {
        " ".join([method, *(f"{key}={value}" for key, value in options.items())])
        for method in TUNED
        for options in candidates(method)
    }
    assert {label for label in named if label.split(" ")[0] in {each.split(" ")[0] for each in stored}} <= stored


class _Options(Config):
    steps: int = 100
    lr: float = Field(0.1, gt=0, le=0.15)
    share: float = Field(0.4, ge=0, le=1)
    noise: float = 0.0


def test_a_method_that_names_no_candidates_gets_them_from_its_options(monkeypatch):
    """A new method, or a plugin's, needs no line here."""
    monkeypatch.setattr(tune, "get_method", lambda name: SimpleNamespace(Options=_Options))
    assert candidates("new") == [{}, {"lr": 0.05}, {"share": 0.2}, {"share": 0.8}]  # .2 is no rate that it allows
    monkeypatch.setattr(tune, "get_method", lambda name: SimpleNamespace(Options=Config))
    assert candidates("bare") == [{}]


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
