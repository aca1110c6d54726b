"""What would go wrong on a GPU alone, found without one: tensors of two devices that meet, waits in every step, and
operations without a deterministic algorithm.
"""

import copy

import pytest
import torch

from tests.second_device import DEVICE, second_device
from tests.synthetic import CLASSES, RECIPE, SEEDS, blobs, tiny_net
from tmu.audit.probes.probe import probe
from tmu.config import AuditConfig
from tmu.models.registry import build
from tmu.references.network import Training, learn
from tmu.references.rows import ReferenceRows
from tmu.ridge.fit import fit_ridge, without
from tmu.train import Examples, fit, logits_of
from tmu.train.lane import exact
from tmu.train.source import Held, Streamed
from tmu.twin.features.adversarial import attack
from tmu.twin.margins import MarginMap
from tmu.twin.reference_twin import Rate, ReferenceTwin
from tmu.unlearn import get_method, method_names, read_options
from tmu.unlearn.problem import Lessons, Problem

FORGET, RETAIN, HOLDOUT = blobs(8, seed=1), blobs(32, seed=2), blobs(24, seed=3)
SHORT = {"amun": {"steps": 2, "attack_steps": 2, "rounds": 2}, "ssd": {"alpha": 2.0}}
NOT_HERE = ("tmu", "exact-head")  # one needs a fine-tuned twin, whose parts are below; the other has a test of its own
METHODS = [name for name in method_names() if name not in NOT_HERE]


def on_device(model, examples, recipe, seeds, **given):
    """The engine as a deletion calls it: the records may lie on the host."""
    return fit(model, examples, recipe, seeds, device=DEVICE, **given)


def numbers(model):
    return torch.cat([value.detach().cpu().float().flatten() for value in model.state_dict().values()])


def lessons():
    drawn = torch.Generator().manual_seed(0)

    def rows(part):
        seen = torch.arange(4).remainder(2).bool().expand(len(part), -1).contiguous()
        logp = torch.randn(len(part), 4, CLASSES, generator=drawn).log_softmax(2)
        return ReferenceRows(part.keys, part.labels, seen, logp)

    line = torch.linspace(-6, 6, 400)
    twin = ReferenceTwin(torch.tensor([0.5, 0.2, 0.3]), torch.zeros(1), MarginMap(line, torch.stack([line, line])))
    twin = ReferenceTwin(twin.a, twin.b, twin.margins, (Rate(8, 0.02, 0.1),))
    return Lessons(rows(FORGET), rows(RETAIN), twin, torch.full((CLASSES + 1,), 0.2))


def problem(device, fitting, place):
    parts = (part.to(place) for part in (FORGET, RETAIN))
    given = {"twin": None, "holdout": HOLDOUT.to(place), "lessons": lessons(), "device": device}
    return Problem(tiny_net(), *parts, CLASSES, RECIPE, SEEDS, fitting, lambda: tiny_net(9), **given)


def test_the_second_device_has_a_gpus_rules():
    with second_device() as watch:
        there, host = torch.ones(3, 4).to(DEVICE), torch.ones(3, 4)
        del watch.waits[:]
        assert (there * 2 + host.sum()).device == DEVICE  # a number without a dimension may come from the host
        assert watch.waits == []
        assert there[torch.arange(2)].shape == (2, 4)
        assert watch.waits == ["index"]
        assert float(there.sum()) == 12
        assert there.cpu().tolist() == host.tolist()
        there[there > 0] = 2.0
        assert {"_local_scalar_dense", "_to_copy", "index_put_"} <= {*watch.waits}


@pytest.mark.parametrize(
    "mixed", [torch.add, lambda there, host: host[there[:, 0].long()], lambda *both: torch.cat(both)]
)
def test_tensors_of_two_devices_cannot_meet(mixed):
    with pytest.raises(RuntimeError, match="same device"), second_device():
        mixed(torch.ones(3, 4).to(DEVICE), torch.ones(3, 4))


MANY = {"ema": 0.9, "clip_norm": 1.0, "balance": "weights", "optimiser": "adamw"}


@pytest.mark.parametrize(("place", "changes"), [("cpu", {}), (DEVICE, MANY)], ids=["host", "device"])
def test_training_waits_for_the_device_at_the_ends_of_epochs_alone(place, changes):
    """Twice as many steps, and as many waits."""
    recipe, waits = RECIPE.model_copy(update={"augment": "flip_shift", "label_smoothing": 0.1, **changes}), []
    for records in (32, 64):
        model, host = tiny_net(), tiny_net()
        given = blobs(records)
        with second_device() as watch:
            fit(model, given.to(place), recipe, SEEDS, held=HOLDOUT, device=DEVICE)
        fit(host, given, recipe, SEEDS, held=HOLDOUT)
        assert torch.allclose(numbers(model), numbers(host), atol=0.02 if "optimiser" in changes else 1e-5)
        waits.append(len(watch.waits))
    assert waits[0] == waits[1]


def test_a_wait_in_a_step_would_be_seen():
    waits = []
    for records in (32, 64):
        with second_device() as watch:
            fit(tiny_net(), blobs(records), RECIPE, SEEDS, device=DEVICE, after_step=lambda model, _: numbers(model))
        waits.append(len(watch.waits))
    assert waits[1] > waits[0]


@pytest.mark.parametrize(("name", "place"), [*((name, "cpu") for name in METHODS), ("amun", DEVICE)])
def test_every_method_keeps_to_one_device(name, place):
    options = read_options(name, SHORT.get(name, {}))
    if "steps" in type(options).model_fields:
        options = options.model_copy(update={"steps": 6})
    with second_device():
        moved = get_method(name).unlearn(problem(DEVICE, on_device, place), options)
    told = get_method(name).unlearn(problem("cpu", fit, "cpu"), options)
    assert torch.allclose(numbers(moved.model), numbers(told.model), atol=1e-3)
    assert moved.fit.steps == told.fit.steps


def test_rows_that_are_drawn_on_the_host_go_to_the_device_once_an_epoch():
    """As those of a step of `tmu-soft` do."""
    waits = []
    for records in (32, 64):
        rows = list(torch.arange(records).split(16))
        with second_device() as watch:
            fit(tiny_net(), blobs(records), RECIPE, SEEDS, sampler=lambda epoch, rows=rows: rows, device=DEVICE)
        waits.append(len(watch.waits))
    assert waits[0] == waits[1]


def test_outputs_references_probes_and_attacks_keep_to_one_device():
    model, audit = tiny_net(), AuditConfig(probe_records=4, head_records=20, relearn_steps=2)
    with second_device():
        there = model.to(DEVICE)
        assert logits_of(there, HOLDOUT.images, device=DEVICE).device.type == "cpu"
        training = Training(RECIPE, on_device, head_records=16, device=DEVICE)
        assert learn(tiny_net(4), RETAIN.to(DEVICE), RETAIN.to(DEVICE), SEEDS, training).inner is not None
        found = probe(there, copy.deepcopy(there), FORGET, RETAIN, audit, 0, on_device, DEVICE)
        assert found.head_logits.shape == (8, CLASSES)
        views, labels = FORGET.images.to(DEVICE).float() / 255, FORGET.labels.to(DEVICE)
        assert attack(there, views, labels, 0.01, 2).device == DEVICE


def test_a_ridge_head_is_the_same_from_features_of_the_device():
    recipe = RECIPE.model_copy(update={"head": "ridge"})
    here, there = tiny_net(), tiny_net()
    whole = fit_ridge(here, RETAIN, recipe)
    with second_device():
        moved = fit_ridge(there, RETAIN.to(DEVICE), recipe, device=DEVICE)
        assert moved.statistics.distance(whole.statistics) < 1e-6
        without(there, moved.statistics, RETAIN.take(torch.arange(4)), recipe, device=DEVICE)


def test_streamed_pictures_go_to_the_device():
    pictures = Streamed.of(Held(RETAIN.images), torch.arange(32).numpy())
    streamed = Examples(pictures, RETAIN.labels, RETAIN.keys)
    model, other = tiny_net(), tiny_net()
    with second_device():
        fit(model, streamed, RECIPE, SEEDS, device=DEVICE)
        fit(other, RETAIN, RECIPE, SEEDS, device=DEVICE)
    assert torch.equal(numbers(model), numbers(other))


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("resnet9", (3, 16, 16), {"width": 2}),
        ("resnet18", (3, 16, 16), {}),
        ("torchvision/resnet18", (3, 32, 32), {}),
    ],
)
def test_architectures_train_by_operations_that_are_deterministic_on_a_gpu(name, shape, options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build(name, shape, CLASSES, options).train()
    with second_device() as watch, exact():
        model.to(DEVICE)(torch.rand(2, *shape).to(DEVICE)).sum().backward()
    assert "convolution_backward" in watch.seen


def test_an_operation_without_a_deterministic_algorithm_is_seen():
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.AdaptiveMaxPool2d(1), torch.nn.Flatten())
    model.append(torch.nn.Linear(2, CLASSES))
    with pytest.raises(RuntimeError, match="adaptive_max_pool2d_backward does not have"), second_device():
        fit(model, blobs(16), RECIPE, SEEDS, device=DEVICE)
