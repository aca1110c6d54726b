"""Forget sets of the benchmark: sizes, determinism, what each kind promises, what is refused."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bench import forget_sets
from bench.forget_sets import CrossFit, ForgetWorld, crossfit, draw, kinds, needs_crossfit
from bench.forget_sets.cross_fit import halves
from bench.forget_sets.pick import quotas
from tests.synthetic import CLASSES, MEMORISE, SEEDS, blobs, tiny_net
from tmu.errors import ConfigError, DataError, RequestError
from tmu.train import fit

N = 240
RECIPE = MEMORISE.model_copy(update={"epochs": 10})
OPTIONS = {
    "random": {"share": 0.1},
    "class-part": {"class": 1, "share": 0.2},
    "whole-class": {"class": 1},
    "person": {},
    "high-memorisation": {"share": 0.1},
    "worst-case": {"share": 0.1},
    "cluster": {"share": 0.05},
    "pca": {"share": 0.1},
}


def _no_crossfit() -> CrossFit:
    raise AssertionError("this kind was not to ask for a cross-fit")


@pytest.fixture(scope="module")
def world(one_thread) -> ForgetWorld:
    train = blobs(N, seed=1)
    fitted = crossfit(tiny_net, train, RECIPE, SEEDS, fit)
    subjects = np.repeat(np.arange(80), np.tile([1, 2, 3, 6], 20))
    return ForgetWorld(train, subjects, CLASSES, 5, lambda: fitted)


def _score(world: ForgetWorld, kind: str, name: str) -> float:
    return float(getattr(world.crossfit(), name)[draw(kind, OPTIONS[kind], world)].mean())


def test_the_kinds_are_known():
    assert kinds() == sorted(OPTIONS)


@pytest.mark.parametrize("kind", sorted(OPTIONS))
def test_a_draw_is_a_proper_mask_and_repeats(world, kind):
    mask = draw(kind, OPTIONS[kind], world)
    assert mask.dtype == torch.bool and mask.shape == (N,)
    assert 2 <= mask.sum() <= N - 2
    assert torch.equal(mask, draw(kind, OPTIONS[kind], world))


@pytest.mark.parametrize("kind", sorted(OPTIONS))
def test_only_kinds_that_say_so_ask_for_a_crossfit(world, kind):
    lazy = replace(world, crossfit=_no_crossfit)
    if needs_crossfit(kind):
        with pytest.raises(AssertionError, match="not to ask"):
            draw(kind, OPTIONS[kind], lazy)
    else:
        draw(kind, OPTIONS[kind], lazy)


@pytest.mark.parametrize("kind", ["random", "class-part", "person"])
def test_another_seed_draws_another_set(world, kind):
    other = [draw(kind, OPTIONS[kind], replace(world, seed=seed)) for seed in (6, 7, 8)]
    assert any(not torch.equal(draw(kind, OPTIONS[kind], world), mask) for mask in other)


@pytest.mark.parametrize("kind", ["random", "class-part", "whole-class", "high-memorisation", "worst-case", "pca"])
def test_the_order_of_the_records_does_not_matter(world, kind):
    turned = torch.arange(N - 1, -1, -1)
    fitted = CrossFit.from_state({name: value[turned] for name, value in world.crossfit().state().items()})
    mirrored = replace(world, train=world.train.take(turned), crossfit=lambda: fitted)
    assert torch.equal(draw(kind, OPTIONS[kind], mirrored).flip(0), draw(kind, OPTIONS[kind], world))


def test_sizes(world):
    labels = world.train.labels
    for kind in ("random", "high-memorisation", "worst-case", "pca"):
        assert draw(kind, {"share": 0.1}, world).sum() == 24
        assert draw(kind, {"share": 0.5}, world).sum() == 120
    part = draw("class-part", OPTIONS["class-part"], world)
    assert set(labels[part].tolist()) == {1}
    assert part.sum() == round(0.2 * int((labels == 1).sum()))
    assert torch.equal(draw("whole-class", {"class": 2}, world), labels == 2)
    assert torch.equal(draw("whole-class", {"label": 2}, world), labels == 2)


def test_a_smaller_random_set_lies_inside_a_larger_one(world):
    small, large = draw("random", {"share": 0.05}, world), draw("random", {"share": 0.3}, world)
    assert small.sum() == 12 and bool((large | ~small).all())
    assert 0 < float(large[:120].float().mean()) < 1  # spread over the set, not its first records


def test_a_person_is_one_contributor_of_median_size(world):
    mask = draw("person", {}, world).numpy()
    assert len(set(world.subjects[mask])) == 1
    assert mask.sum() == 2  # contributors have 1, 2, 3 and 6 records, as many of each
    named = replace(world, subjects=np.array([f"c{code}" for code in world.subjects]))
    assert draw("person", {}, named).sum() == 2


def test_the_worst_case_is_easy_and_no_class_removal(world):
    assert _score(world, "worst-case", "out_correct") > _score(world, "random", "out_correct")
    fitted = world.crossfit()
    mask = draw("worst-case", OPTIONS["worst-case"], world)
    removed = torch.bincount(world.train.labels[mask], minlength=CLASSES)
    assert removed.tolist() == quotas(world.train.labels, 24, CLASSES)
    for number in range(CLASSES):  # within a class no record left behind is easier
        of = world.train.labels == number
        key = fitted.out_correct.double() + 1e-3 * fitted.out_confidence.double()
        assert key[of & mask].min() >= key[of & ~mask].max()


def test_high_memorisation_is_what_only_seeing_teaches(world):
    assert _score(world, "high-memorisation", "out_correct") < _score(world, "random", "out_correct") - 0.3
    score, mask = world.crossfit().memorisation, draw("high-memorisation", OPTIONS["high-memorisation"], world)
    assert score[mask].min() >= score[~mask].max()
    assert not (mask & draw("worst-case", OPTIONS["worst-case"], world)).any()


def test_a_cluster_is_tight_and_about_as_large_as_asked(world):
    features, mask = world.crossfit().features, draw("cluster", OPTIONS["cluster"], world)
    chance = draw("random", {"share": 0.05}, world)
    assert abs(int(mask.sum()) - 12) <= 4
    spread = [float((features[rows] - features[rows].mean(0)).norm(dim=1).mean()) for rows in (mask, chance)]
    assert spread[0] < 0.6 * spread[1]


def test_pca_takes_one_end_of_the_chosen_direction(world):
    fitted = world.crossfit()
    grid = torch.zeros(N, 3)
    grid[:, 0] = torch.linspace(-3, 3, N)  # most variance, then the second column
    grid[:, 1] = torch.cos(torch.arange(N) * 1.0)
    flat = replace(world, crossfit=lambda: replace(fitted, features=grid))
    assert draw("pca", {"share": 0.1}, flat).nonzero().min() == N - 24
    second = draw("pca", {"share": 0.1, "direction": 1}, flat)
    assert grid[second, 1].min() > 0.9
    with pytest.raises(RequestError, match="3 directions"):
        draw("pca", {"share": 0.1, "direction": 3}, flat)


def test_quotas_add_up_in_proportion():
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    assert quotas(labels, 10, 3) == [5, 3, 2]
    assert quotas(labels, 11, 3) == [6, 3, 2]
    assert quotas(labels, 3, 4) == [1, 1, 1, 0]


@pytest.mark.parametrize("kind", sorted(kind for kind in OPTIONS if "share" in OPTIONS[kind]))
@pytest.mark.parametrize("share", [0.0, 0.004, 1.0, 1.5, -0.1])
def test_impossible_shares_are_refused(world, kind, share):
    with pytest.raises(RequestError, match="Choose a share"):
        draw(kind, OPTIONS[kind] | {"share": share}, world)


def test_sets_that_come_out_too_small_or_too_large_are_refused(world):
    with pytest.raises(RequestError, match="holds 0 of"):
        draw("whole-class", {"class": 3}, replace(world, classes=4))  # a class without records
    with pytest.raises(RequestError, match="holds 1 of"):
        draw("person", {}, replace(world, subjects=np.arange(N)))
    with pytest.raises(RequestError, match="leaves 0 of"):
        draw("person", {}, replace(world, subjects=np.zeros(N, int)))


def test_what_is_not_there_is_refused(world):
    with pytest.raises(RequestError, match="name no contributors"):
        draw("person", {}, replace(world, subjects=None))
    with pytest.raises(DataError, match="3 contributor codes"):
        draw("person", {}, replace(world, subjects=np.arange(3)))
    with pytest.raises(ConfigError, match=f"no class {CLASSES}"):
        draw("whole-class", {"class": CLASSES}, world)
    with pytest.raises(ConfigError, match="no class -1"):
        draw("class-part", {"class": -1}, world)
    with pytest.raises(ConfigError, match="no forget set `nobody`"):
        draw("nobody", {}, world)
    with pytest.raises(ConfigError, match=r"`siz`.*class, share"):
        draw("class-part", {"siz": 3}, world)
    with pytest.raises(DataError, match="Make it anew"):
        draw("worst-case", {}, replace(world, train=world.train.take(torch.arange(100))))


def test_a_new_file_is_a_new_kind(tmp_path, monkeypatch, world):
    (tmp_path / "first_few.py").write_text(
        "import torch\nfrom tmu.config import Config\nNEEDS_CROSSFIT = False\n"
        "class Options(Config):\n    few: int = 3\n"
        "def draw(world, options):\n    return torch.arange(len(world.train)) < options.few\n"
    )
    monkeypatch.setattr(forget_sets, "__path__", [*forget_sets.__path__, str(tmp_path)])
    assert "first-few" in kinds()
    try:
        assert draw("first-few", {}, world).sum() == 3
        assert not needs_crossfit("first-few")
        with pytest.raises(RequestError, match="holds 1 of 240"):  # the size is checked for every kind
            draw("first-few", {"few": 1}, world)
    finally:
        sys.modules.pop("bench.forget_sets.first_few", None)


def test_halves_are_equal_and_differ_between_repeats():
    train = blobs(101)
    first, second = halves(train, 0, 0), halves(train, 0, 1)
    assert sorted(torch.bincount(first).tolist()) == [50, 51]
    assert torch.equal(first, halves(train, 0, 0))
    assert 30 < int((first != second).sum()) < 70


def _scripted(train, calls):
    """A `fit` that notes what it is given and makes the model sure of class 0."""

    def noted(model, examples, recipe, seeds, *, device):
        calls.append(set(examples.keys.tolist()))
        with torch.no_grad():
            for parameter in list(model.parameters())[-2:]:
                parameter.zero_()
            list(model.parameters())[-1][0] = float(len(calls))

    return noted


def test_scores_come_from_the_models_they_are_named_after():
    train, calls, repeats = blobs(40), [], 2
    got = crossfit(tiny_net, train, RECIPE, SEEDS, _scripted(train, calls), repeats)
    assert len(calls) == 4
    assert calls[0] | calls[1] == set(train.keys.tolist()) == calls[2] | calls[3]
    assert not calls[0] & calls[1] and not calls[2] & calls[3]
    sure = [float(torch.tensor([b, 0.0, 0.0]).softmax(0)[0]) for b in (1.0, 2.0, 3.0, 4.0)]
    for row, key in enumerate(train.keys.tolist()):
        if int(train.labels[row]) == 0:
            seen = [key in call for call in calls]
            of_in = sum(value for value, is_in in zip(sure, seen, strict=True) if is_in) / repeats
            assert float(got.in_confidence[row]) == pytest.approx(of_in, abs=1e-6)
            assert float(got.out_confidence[row]) == pytest.approx(sum(sure) / repeats - of_in, abs=1e-6)
    assert torch.equal(got.out_correct, (train.labels == 0).float())


def test_features_do_not_give_the_halves_away():
    """With each record's features from its own OUT model, all nearest neighbours would lie in the record's half."""
    train = blobs(N)
    got = crossfit(tiny_net, train, RECIPE, SEEDS, lambda *_, **__: None, 1)
    half = halves(train, SEEDS.evaluate, 0)
    assert torch.allclose(got.features.norm(dim=1), torch.ones(N), atol=1e-5)
    apart = torch.cdist(got.features, got.features).fill_diagonal_(9)
    assert 0.35 < float((half[apart.argmin(1)] == half).float().mean()) < 0.65


def test_a_crossfit_is_stored_and_read_back(world, tmp_path):
    state = world.crossfit().state()
    assert {value.dtype for value in state.values()} == {torch.float32}
    save_file(state, tmp_path / "crossfit.safetensors")
    again = CrossFit.from_state(load_file(tmp_path / "crossfit.safetensors"))
    assert all(torch.equal(again.state()[name], value) for name, value in state.items())
    del state["out_correct"]
    with pytest.raises(DataError, match="out_correct"):
        CrossFit.from_state(state)


def test_a_crossfit_needs_four_records():
    with pytest.raises(DataError, match="3 records"):
        crossfit(tiny_net, blobs(3), RECIPE, SEEDS, fit)
    with pytest.raises(DataError, match="0 halvings"):
        crossfit(tiny_net, blobs(9), RECIPE, SEEDS, fit, repeats=0)
