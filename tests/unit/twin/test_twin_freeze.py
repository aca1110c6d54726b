"""A twin comes back from disk as it was."""

import json
from dataclasses import dataclass

import pytest
import torch

from tests.synthetic import TWIN, same_weights, tiny_net, weights_of
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
    assert not torch.allclose(back.p_wrong(side), back.p_wrong(side).mean().expand(240), atol=0.05)
    assert back.config == solved.twin.config
    assert back.hard_confidence == solved.twin.hard_confidence


def test_the_networks_come_back_in_their_places(solved, back):
    nets = [(twin.model, *twin.curriculum) for twin in (back, solved.twin)]
    for mine, known in zip(*nets, strict=True):
        assert same_weights(weights_of(mine), weights_of(known))
        assert not mine.training
    assert not same_weights(*(weights_of(net) for net in solved.twin.curriculum))


def test_a_twin_of_the_references_comes_back_as_numbers_alone(referred):
    tensors = {}
    tree = json.loads(json.dumps(freeze(referred.twin, tensors)))
    back = thaw(tree, tensors, None)  # it asks for no network
    assert back.rates == referred.twin.rates
    for part in ("a", "b"):
        assert torch.equal(getattr(back, part), getattr(referred.twin, part))
    for part in ("foreseen", "gold"):
        assert torch.equal(getattr(back.margins, part), getattr(referred.twin.margins, part))


def test_a_configuration_comes_back_from_the_package_that_older_twins_name():
    tree = freeze(TWIN, {})
    assert thaw(tree | {"config": "tmu.config:TwinConfig"}, {}, None) == thaw(tree, {}, None) == TWIN


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
