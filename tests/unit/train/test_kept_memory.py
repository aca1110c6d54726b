"""Memory kept between steps: where steps map much anew, and given back afterwards."""

import resource

import pytest
import torch

from tests.synthetic import RECIPE, SEEDS, blobs, tiny_net
from tmu.train import fit
from tmu.train import kept_memory as room
from tmu.train.kept_memory import kept_memory

_BLOCK = 48 << 20  # above every threshold of glibc's own rule
_PAGES = _BLOCK // resource.getpagesize()

needs_glibc = pytest.mark.skipif(room._glibc() is None, reason="glibc alone has these options")


def _faults(times: int) -> int:
    """Page faults of writing and freeing a large block so many times."""
    before = room._faults()
    for _ in range(times):
        torch.empty(_BLOCK, dtype=torch.uint8).fill_(1)
    return room._faults() - before


@needs_glibc
def test_large_blocks_are_kept_once_a_step_is_seen_to_map_them_and_until_the_last_has_gone():
    assert _faults(4) > 3 * _PAGES
    with kept_memory() as stepped, kept_memory() as other:
        for step in (stepped, other):
            _faults(1)
            step()
        _faults(2)
        assert _faults(4) < _PAGES
    assert room._keeping == 0
    assert _faults(4) > 3 * _PAGES


@needs_glibc
def test_steps_that_map_little_change_nothing():
    with kept_memory() as stepped:
        stepped()
        for _ in range(3):
            torch.empty(1 << 20, dtype=torch.uint8).fill_(1)
            stepped()
        assert room._keeping == 0
        assert _faults(4) > 3 * _PAGES


@needs_glibc
def test_what_is_free_goes_back_to_the_system():
    with kept_memory() as stepped:
        _faults(1)
        stepped()
        _faults(2)
        held = _resident()
    assert _resident() < held - _BLOCK // 2


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_the_engine_asks_after_each_step_and_an_error_sets_it_back(monkeypatch):
    monkeypatch.setattr(room, "_MANY", 0)
    kept = []

    def fails(_model, step):
        kept.append(room._keeping)
        if step == 2:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fit(tiny_net(), blobs(64), RECIPE, SEEDS, after_step=fails)
    assert (kept, room._keeping) == ([0, 1], 0)


def test_weights_are_the_same_with_it_and_where_the_allocator_has_no_such_options(monkeypatch):
    found = []
    for many, libc in ((1 << 40, room._glibc), (0, room._glibc), (0, lambda: None)):
        monkeypatch.setattr(room, "_MANY", many)
        monkeypatch.setattr(room, "_glibc", libc)
        net = tiny_net()
        fit(net, blobs(64), RECIPE.model_copy(update={"epochs": 2}), SEEDS)
        found.append(net.state_dict())
    for other in found[1:]:
        assert all(torch.equal(value, other[name]) for name, value in found[0].items())
