"""A ridge head on a frozen network: features by record, training in one pass, and records taken out again."""

import copy

import pytest
import torch

from tests.synthetic import CLASSES, RECIPE, SEEDS, blobs, same_weights, tiny_net, weights_of
from tmu.errors import ConfigError, DataError
from tmu.models.registry import build
from tmu.ridge.features import ROWS, features_of
from tmu.ridge.fit import RidgeFit, fit_ridge, statistics_of, without
from tmu.ridge.refuse import refuse_ridge_head
from tmu.train import Examples, logits_of
from tmu.unlearn import get_method, read_options, refuse_other_head
from tmu.unlearn.problem import Problem

RIDGE = RECIPE.model_copy(update={"head": "ridge", "ridge": 0.5})
ARCHITECTURES = [
    ("small_resnet", {"width": 8}, (1, 8, 8)),
    ("resnet9", {"width": 8}, (3, 16, 16)),
    ("resnet18", {}, (3, 16, 16)),
    ("torchvision/mobilenet_v3_small", {}, (3, 32, 32)),
    ("torchvision/efficientnet_b0", {}, (3, 32, 32)),
]


def fitted(train: Examples) -> tuple[torch.nn.Module, RidgeFit]:
    model = tiny_net(3)
    return model, fit_ridge(model, train, RIDGE)


@pytest.mark.parametrize(("name", "options", "shape"), ARCHITECTURES, ids=[each[0] for each in ARCHITECTURES])
def test_features_are_the_same_bits_in_every_batch_and_at_every_place_in_it(name, options, shape):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build(name, shape, 3, options)
    drawn = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (ROWS + 5, *shape), dtype=torch.uint8, generator=drawn)
    records = Examples(images, torch.arange(len(images)), torch.arange(len(images)))
    found = torch.cat([features for features, _ in features_of(model, records)])
    mixed = torch.randperm(len(images), generator=drawn)
    again = torch.cat([features for features, _ in features_of(model, records.take(mixed))])
    assert torch.equal(again, found[mixed])
    alone = torch.cat([next(features_of(model, records.take(torch.tensor([row]))))[0] for row in (0, 7, ROWS + 4)])
    assert torch.equal(alone, found[[0, 7, ROWS + 4]])


def test_training_solves_the_head_and_leaves_the_network_as_it_was():
    train, model = blobs(240), tiny_net(3)
    before = weights_of(model)
    seen: list[int] = []
    report = fit_ridge(model, train, RIDGE, progress=lambda done, total, _: seen.append(done))
    after = weights_of(model)
    assert {name for name in before if not torch.equal(before[name], after[name])} == _head(before)
    assert not model.training
    assert seen[-1] == 240
    assert report.statistics.counts.tolist() == torch.bincount(train.labels).tolist()
    right = (logits_of(model, train.images).argmax(1) == train.labels).double().mean()
    assert float(right) > 0.6
    assert report.history[0]["loss"] < 2 / 3  # of a head that knows the classes' shares alone


def test_taking_records_out_is_retraining_without_them_bit_for_bit():
    train = blobs(200)
    model, report = fitted(train)
    gone = torch.zeros(200, dtype=torch.bool)
    gone[[0, 3, 50, 199]] = True
    left = without(model, report.statistics, train.take(gone), RIDGE)
    retrained, anew = fitted(train.take(~gone))
    assert left.statistics.equals(anew.statistics)
    assert left.solved.distance(anew.solved) <= 1e-9
    assert same_weights(weights_of(model), weights_of(retrained))


def test_nothing_to_train_on_is_refused():
    with pytest.raises(DataError, match="1 records to train on"):
        fit_ridge(tiny_net(), blobs(10).take(torch.tensor([0])), RIDGE)
    assert statistics_of(tiny_net(), blobs(10).take(torch.arange(0))).records == 0


def _problem(recipe=RIDGE, **fields) -> Problem:
    train = blobs(120)
    model, report = fitted(train)
    gone = torch.arange(120) < 7
    facts = {"model": copy.deepcopy(model), "forget": train.take(gone), "retain": train.take(~gone)}
    facts |= {"classes": CLASSES, "recipe": recipe, "seeds": SEEDS, "fresh": lambda: tiny_net(3)}
    facts |= {"fit": lambda net, records, config, _seeds: fit_ridge(net, records, config)}
    return Problem(**facts | {"statistics": report.statistics} | fields)


def _run(name: str, problem: Problem):
    return get_method(name).unlearn(problem, read_options(name, {}))


def test_exact_head_gives_what_retrain_gives_with_or_without_statistics():
    none = blobs(120).take(torch.arange(0))
    subtracted = _run("exact-head", _problem(retain=none))  # nothing of D_r is read
    anew, retrained = _run("exact-head", _problem(statistics=None)), _run("retrain", _problem())
    assert subtracted.notes["statistics"] == "subtracted"
    assert anew.notes == {"statistics": "computed anew"}
    assert same_weights(weights_of(subtracted.model), weights_of(retrained.model))
    assert same_weights(weights_of(anew.model), weights_of(retrained.model))
    assert subtracted.fit.statistics.equals(retrained.fit.statistics)


def test_exact_head_is_refused_for_a_network_that_was_trained_and_others_for_one_that_was_not():
    from tmu.config import Params

    with pytest.raises(ConfigError, match=r"needs a model with a ridge head.*train\.head: ridge"):
        _run("exact-head", _problem(recipe=RECIPE))
    trained, frozen = Params(train=RECIPE), Params(train=RIDGE)
    with pytest.raises(ConfigError, match=r"`exact-head` needs a model with a ridge head.*train again"):
        refuse_other_head("exact-head", trained)
    for name in ("tmu-soft", "finetune"):
        with pytest.raises(ConfigError, match=f"`{name}` trains the whole network.*Use `exact-head`"):
            refuse_other_head(name, frozen)
        refuse_other_head(name, trained)
    for name in ("retrain", "exact-head"):
        refuse_other_head(name, frozen)
    with pytest.raises(ConfigError, match=r"no use for references.*exact-head"):
        refuse_ridge_head(frozen, "references")
    refuse_ridge_head(trained, "references")


def _head(state: dict[str, torch.Tensor]) -> set[str]:
    return set(sorted(state, key=lambda name: int(name.split(".")[0]))[-2:])
