"""A twin comes back from disk as it was."""

import json
from dataclasses import dataclass

import pytest
import torch

from tmu.twin.freeze import empty, freeze, thaw
from tests.synthetic import tiny_net
from tmu.errors import ModelError
from tmu.twin.features import compute_features


def test_a_twin_says_the_same_after_it_was_stored(solved):
    tensors = {}
    tree = json.loads(json.dumps(freeze(solved.twin, tensors), sort_keys=True))
    back = thaw(tree, tensors, lambda: empty(tiny_net))
    side = back.side(solved.original, solved.holdout, solved.train, "cpu")
    was = solved.twin.side(solved.original, solved.holdout, solved.train, "cpu")
    # a network in another memory format sums in another order
    assert torch.allclose(back.p_wrong(side), solved.twin.p_wrong(was), atol=1e-4)
    features = compute_features(side)
    before, after = (t.targets.probabilities(side, features, t.predictor) for t in (solved.twin, back))
    assert torch.equal(before, after)
    assert back.config == solved.twin.config
    assert back.hard_confidence == solved.twin.hard_confidence


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


def test_what_cannot_be_stored_is_refused():
    with pytest.raises(ModelError, match="function"):
        freeze({"a": [lambda: 1]}, {})
