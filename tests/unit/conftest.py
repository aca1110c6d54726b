"""What several rooms' tests begin with: a deletion of 48 of the original's 240 records, a ledger, a counted model."""

import copy
from collections.abc import Callable, Iterator

import pytest
import torch

from tests.ledger_tools import Travel, in_memory
from tests.synthetic import CLASSES, MEMORISE, SEEDS, tiny_net
from tmu.audit import answers
from tmu.ledger.store import Ledger
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


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures went through a model at each question of `tmu.audit.answers`."""
    counts, real = [], answers.predict

    def counted(model: torch.nn.Module, images: torch.Tensor, **given: object) -> object:
        counts.append(len(images))
        return real(model, images, **given)

    monkeypatch.setattr(answers, "predict", counted)
    return counts


@pytest.fixture
def now() -> Travel:
    """The ledger's time, which the test moves."""
    return Travel()


@pytest.fixture
def ledger(now: Travel) -> Iterator[Ledger]:
    """A fresh ledger for each test, in memory."""
    made = in_memory(now)
    yield made
    made.close()
