"""Memory kept between steps: where steps map much anew, and given back afterwards."""

import resource
from types import SimpleNamespace

import pytest
import torch

from tests.synthetic import RECIPE, SEEDS, blobs, tiny_net
from tmu.train import fit
from tmu.train import kept_memory as room
from tmu.train.kept_memory import kept_memory

_BLOCK = 48 << 20  # above every threshold of glibc's own rule

needs_glibc = pytest.mark.skipif(room._glibc() is None, reason="glibc alone has these options")


@pytest.fixture
def at_once(monkeypatch):
    """Memory is kept from the first step on."""
    for name in ("_SHARE", "_SECONDS", "_MANY"):
        monkeypatch.setattr(room, name, 0)


@pytest.mark.parametrize(
    ("mapped", "system", "time", "kept"),
    [
        (room._MANY, 2 * room._SHARE, 2.0, 1),
        (room._MANY - 1, 2 * room._SHARE, 2.0, 0),
        (room._MANY, 1.98 * room._SHARE, 2.0, 0),
        (room._MANY, 2 * room._SHARE, 1.98, 0),
    ],
)
def test_it_begins_where_a_tenth_of_the_time_is_lost(monkeypatch, mapped, system, time, kept):
    used = iter([(5.0, 0.0, 0.0), (5.0 + mapped, system, time)])
    monkeypatch.setattr(room, "_used", lambda: next(used))
    with kept_memory() as stepped:
        stepped()
        assert room._keeping == kept


def test_each_stretch_of_time_is_looked_at_by_itself(monkeypatch):
    used = iter([(0.0, 0.0, 0.0), (1e9, 0.0, 9.0), (2e9, 0.9, 18.0), (3e9, 1.8, 27.0)])
    monkeypatch.setattr(room, "_used", lambda: next(used))
    with kept_memory() as stepped:
        found = []
        for _ in range(3):
            stepped()
            found.append(room._keeping)
    assert found == [0, 1, 1]


def test_the_allocator_is_set_for_the_first_and_set_back_after_the_last(monkeypatch, at_once):
    """The library writes down what it is told: what the real one maps depends on what is free in its heap."""
    told = []
    library = SimpleNamespace(mallopt=lambda *option: told.append(option), malloc_trim=lambda _: told.append("trim"))
    monkeypatch.setattr(room, "_glibc", lambda: library)
    with kept_memory() as stepped, kept_memory() as other:
        stepped()
        assert told == list(room._KEPT.items())
        other()
        stepped()
        assert told == list(room._KEPT.items()) and room._keeping == 2
    assert told == [*room._KEPT.items(), *room._AFTER.items(), "trim"] and room._keeping == 0


@needs_glibc
def test_what_is_free_goes_back_to_the_system(at_once):
    with kept_memory() as stepped:
        stepped()
        torch.empty(_BLOCK, dtype=torch.uint8).fill_(1)
        held = _resident()
    assert _resident() < held - _BLOCK // 2


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_the_engine_asks_after_each_step_and_an_error_sets_it_back(at_once):
    kept = []

    def fails(_model, step):
        kept.append(room._keeping)
        if step == 2:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fit(tiny_net(), blobs(64), RECIPE, SEEDS, after_step=fails)
    assert (kept, room._keeping) == ([0, 1], 0)


def test_weights_are_the_same_with_it_and_where_the_allocator_has_no_such_options(monkeypatch, at_once):
    found = []
    for many, libc in ((1 << 60, room._glibc), (0, room._glibc), (0, lambda: None)):
        monkeypatch.setattr(room, "_MANY", many)
        monkeypatch.setattr(room, "_glibc", libc)
        net = tiny_net()
        fit(net, blobs(64), RECIPE.model_copy(update={"epochs": 2}), SEEDS)
        found.append(net.state_dict())
    for other in found[1:]:
        assert all(torch.equal(value, other[name]) for name, value in found[0].items())
