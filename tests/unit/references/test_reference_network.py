"""One network: it learns its half, its fresh head is fitted on nothing else, and half a person is not enough."""

import pytest
import torch

from tests.synthetic import CLASSES, MEMORISE, SEEDS, blobs, tiny_net
from tmu.errors import DataError
from tmu.references import network as room
from tmu.references.network import Training, learn
from tmu.train import fit

TRAIN = blobs(120, seed=1)
HALF = TRAIN.take(torch.arange(60))
TRAINING = Training(MEMORISE, fit)


def test_it_knows_its_half_better_than_the_other_one() -> None:
    outputs = learn(tiny_net(), HALF, TRAIN, SEEDS, TRAINING)
    for answers in (outputs.logp, outputs.inner):
        assert answers.shape == (120, CLASSES)
        assert answers.dtype == torch.float16
        assert torch.allclose(answers.float().exp().sum(1), torch.ones(120), atol=0.01)
    right = (outputs.logp.argmax(1) == TRAIN.labels).double()
    assert right[:60].mean() > right[60:].mean() + 0.1


def test_the_fresh_head_is_fitted_on_what_the_network_has_learned_alone(monkeypatch) -> None:
    given = []
    monkeypatch.setattr(room, "some", lambda examples, most, *_: given.append((examples, most)) or examples)
    learn(tiny_net(), HALF, TRAIN, SEEDS, Training(MEMORISE, fit, head_records=30))
    assert [(len(examples), most) for examples, most in given] == [(60, 30)]
    assert torch.equal(given[0][0].keys, HALF.keys)


def test_without_inner_outputs_no_head_is_fitted(monkeypatch) -> None:
    monkeypatch.setattr(room, "fit_head", None)
    assert learn(tiny_net(), HALF, TRAIN, SEEDS, Training(MEMORISE, fit, inner=False)).inner is None


def test_outputs_do_not_depend_on_how_many_are_asked_at_a_time(monkeypatch) -> None:
    whole = learn(tiny_net(), HALF, TRAIN, SEEDS, TRAINING)
    monkeypatch.setattr(room, "_CHUNK", 50)
    parts = learn(tiny_net(), HALF, TRAIN, SEEDS, TRAINING)
    assert torch.allclose(whole.logp.float(), parts.logp.float(), atol=0.01)


def test_a_half_of_one_record_is_refused() -> None:
    with pytest.raises(DataError, match="split by person, has fewer than two"):
        learn(tiny_net(), HALF.take(torch.arange(1)), TRAIN, SEEDS, TRAINING)
