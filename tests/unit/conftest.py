"""One deletion: 48 of the original's 240 records."""

import copy
from collections.abc import Callable

import pytest
import torch

from tests.synthetic import CLASSES, MEMORISE, SEEDS, tiny_net
from tmu.train import fit
from tmu.unlearn.problem import Problem


@pytest.fixture
def make_problem(solved) -> Callable[..., Problem]:
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
        }
        return Problem(**{**given, **fields})

    return make
