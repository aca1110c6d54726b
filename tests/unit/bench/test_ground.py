"""The data of a suite, scaled to another size."""

import torch

from bench.runner.ground import _scaled, ground_file, load_ground
from bench.suite import Suite
from tests.unit.bench.test_suite import SMALL


def test_a_suite_may_scale_its_pictures(tmp_path):
    given = {"name": "scaled", **SMALL, "methods": {"finetune": {}}}
    plain, scaled = (Suite.model_validate(given | {"side": side}) for side in (None, 12))
    files = [ground_file(suite, tmp_path) for suite in (plain, scaled)]
    first, second = (load_ground(file, "cpu") for file in files)
    assert (first.shape, second.shape) == ((1, 8, 8), (1, 12, 12))
    assert second.train.images.shape == (len(first.train), 1, 12, 12) and second.train.images.dtype == torch.uint8
    assert torch.equal(first.train.keys, second.train.keys) and first.digest != second.digest


def test_scaling_keeps_what_is_even_and_does_not_overflow():
    even = torch.full((300, 3, 32, 32), 255, dtype=torch.uint8)
    assert torch.equal(_scaled(even, 96), torch.full((300, 3, 96, 96), 255, dtype=torch.uint8))
    half = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    half[..., 1] = 200
    assert _scaled(half, 4)[0, 0, 0].tolist() == [0, 50, 150, 200]
