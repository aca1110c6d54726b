"""One deletion: 48 of the original's 240 records."""

import copy
from collections.abc import Callable

import pytest
import torch

from tests.synthetic import CLASSES, MEMORISE, SEEDS, tiny_net
from tmu.train import fit
from tmu.unlearn.problem import Lessons, Problem

LOST = torch.tensor([48 / 240] * (CLASSES + 1))


@pytest.fixture
def make_problem(solved, referred) -> Callable[..., Problem]:
    """A new problem around a copy of the original; keyword arguments replace its fields."""

    def make(**fields) -> Problem:
        forgotten = torch.arange(240) < 48
        given = {
            "model": copy.deepcopy(solved.original),
            "forget": solved.train.take(forgotten),
            "retain": solved.train.take(~forgotten),
            "classes": CLASSES,
            "recipe": MEMORISE,
            "seeds": SEEDS,
            "fit": fit,
            "fresh": tiny_net,
            "twin": solved.twin,
            "holdout": solved.holdout,
            "lessons": Lessons(referred.rows.take(forgotten), referred.rows.take(~forgotten), referred.twin, LOST),
        }
        return Problem(**{**given, **fields})

    return make
