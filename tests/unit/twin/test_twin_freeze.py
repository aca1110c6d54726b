"""A twin comes back from disk as it was."""

import json
from dataclasses import dataclass, replace

import pytest
import torch

from tests.synthetic import same_weights, tiny_net, weights_of
from tmu.errors import ModelError
from tmu.twin.freeze import empty, freeze, thaw


@pytest.fixture(scope="module")
def back(solved):
    """The solved world's twin, frozen and thawed."""
    tensors = {}
    tree = json.loads(json.dumps(freeze(solved.twin, tensors), sort_keys=True))
    return thaw(tree, tensors, lambda: empty(tiny_net))


def test_a_twin_says_the_same_after_it_was_stored(solved, back):
    side = back.side(solved.original, solved.holdout, solved.train, "cpu")
    was = solved.twin.side(solved.original, solved.holdout, solved.train, "cpu")
    # a network in another memory format sums in another order
    assert torch.allclose(back.p_wrong(side), solved.twin.p_wrong(was), atol=1e-4)
    assert torch.allclose(side.unseen, was.unseen, atol=1e-3)
    lost = torch.tensor([0.3, 0.1, 0.1, 0.17])
    before, after = solved.twin.targets, back.targets
    assert torch.equal(before.probabilities(side, lost=lost), after.probabilities(side, lost=lost))
    for part in ("predicted", "gold", "shift"):
        assert torch.equal(getattr(after.margins, part), getattr(before.margins, part))
    assert back.config == solved.twin.config
    assert back.hard_confidence == solved.twin.hard_confidence


def test_the_cross_fit_models_come_back_with_the_division(solved, back):
    was = solved.twin.cross_fit
    assert back.cross_fit.seed == was.seed
    for mine, known in zip(back.cross_fit.nets, was.nets, strict=True):
        assert same_weights(weights_of(mine), weights_of(known))
        assert not mine.training
    assert not same_weights(weights_of(was.nets[0]), weights_of(was.nets[1]))


def test_a_twin_without_cross_fit_models_comes_back_without(solved):
    tensors = {}
    tree = freeze(replace(solved.twin, cross_fit=None), tensors)
    assert not [name for name in tensors if ".cross_fit." in name]
    assert thaw(tree, tensors, tiny_net).cross_fit is None


def test_only_parts_of_the_project_are_rebuilt():
    @dataclass
    class Foreign:
        x: int

    tree = freeze(Foreign(1), {})
    with pytest.raises(ModelError, match="Foreign"):
        thaw(tree, {}, tiny_net)
    for place in ("os:system", "tmu.files:digest_of", "tmu.errors:TmuError"):
        with pytest.raises(ModelError):
            thaw({"record": place, "fields": {}}, {}, tiny_net)


def test_a_twin_of_another_version_is_refused_by_the_part_that_does_not_fit(solved):
    tensors = {}
    tree = freeze(solved.twin, tensors)
    tree["fields"]["ablated"] = {"dict": {}}
    with pytest.raises(ModelError, match=r"another version of tmu: `tmu.twin.twin:Twin`.*ablated"):
        thaw(tree, tensors, lambda: empty(tiny_net))


def test_what_cannot_be_stored_is_refused():
    with pytest.raises(ModelError, match="function"):
        freeze({"a": [lambda: 1]}, {})
