"""The engine: what it trains on, what it reports, what it refuses, and how it leaves model and process."""

from dataclasses import replace

import pytest
import torch

from tests.synthetic import CLASSES, MEMORISE, RECIPE, SEEDS, blobs, same_weights, tiny_net, weights_of
from tmu.config import TrainConfig
from tmu.errors import DataError, ModelError
from tmu.train import fit, logits_of, step
from tmu.train.batch import Batch, soft_cross_entropy
from tmu.train.examples import as_probabilities

PLAIN = TrainConfig(epochs=1, batch_size=32, lr=1.0, momentum=0, weight_decay=0, schedule="constant", precision="fp32")


def _trained(examples=None, recipe=RECIPE, seeds=SEEDS, **options):
    net = tiny_net()
    fit(net, examples or blobs(64), recipe, seeds, **options)
    return weights_of(net)


def _batches(examples, recipe, seeds=SEEDS) -> list[Batch]:
    """Every batch of a run, as an objective sees it."""
    seen = []

    def watch(model, batch):
        seen.append(batch)
        return soft_cross_entropy(model, batch)

    fit(tiny_net(), examples, recipe, seeds, objective=watch)
    return seen


def test_it_learns_and_reports_each_epoch():
    net = tiny_net()
    report = fit(net, blobs(120), MEMORISE, SEEDS)
    assert [entry["epoch"] for entry in report.history] == list(range(1, 21))
    assert report.steps == 20 * 4
    assert report.precision == "fp32"
    assert report.resumed_at == 0
    assert report.seconds_train > 0
    assert report.history[-1]["loss"] < 0.2 * report.history[0]["loss"]
    known = 100 * float((logits_of(net, blobs(120).images).argmax(1) == blobs(120).labels).float().mean())
    assert known > 95
    assert abs(report.history[-1]["accuracy_pct"] - known) < 5


def test_the_reported_numbers_are_means_over_records():
    examples = blobs(50)  # batches of unequal size
    numbers = []

    def watch(model, batch):
        loss, logits = soft_cross_entropy(model, batch)
        right = int((logits.argmax(1) == batch.labels).sum())
        numbers.append((float(loss.detach()) * len(batch.rows), right))
        return loss, logits

    report = fit(tiny_net(), examples, RECIPE.model_copy(update={"epochs": 1}), SEEDS, objective=watch)
    assert report.history[0]["loss"] == pytest.approx(sum(loss for loss, _ in numbers) / 50, rel=1e-6)
    assert report.history[0]["accuracy_pct"] == pytest.approx(100 * sum(right for _, right in numbers) / 50)


@pytest.mark.parametrize("axis", ["order", "augment"])
def test_each_seed_matters_on_its_own(axis):
    recipe = RECIPE.model_copy(update={"augment": "shift"})
    other = SEEDS.model_copy(update={axis: 7})
    assert same_weights(_trained(recipe=recipe), _trained(recipe=recipe))
    assert not same_weights(_trained(recipe=recipe), _trained(recipe=recipe, seeds=other))


def test_the_loss_agrees_with_a_plain_loop():
    examples = blobs(8)
    targets = torch.rand(8, CLASSES).softmax(1)
    weights = torch.rand(8)
    views, net = examples.images.float() / 255, tiny_net().eval().requires_grad_(False)
    loss, logits = soft_cross_entropy(net, Batch(views, torch.arange(8), examples.labels, targets, weights))
    slow = 0.0
    for i in range(8):
        p = torch.softmax(net(views[i : i + 1])[0], 0)
        slow -= float(weights[i]) * sum(float(targets[i, k] * p[k].log()) for k in range(CLASSES)) / 8
    assert float(loss) == pytest.approx(slow, rel=1e-4)
    assert torch.allclose(logits, net(views))


def test_soft_targets_are_what_is_learnt():
    examples = blobs(64)
    goal = torch.tensor([0.2, 0.3, 0.5])
    taught = examples.taught(goal.expand(64, 3))
    net = tiny_net()
    fit(net, taught, MEMORISE, SEEDS)
    assert torch.allclose(logits_of(net, examples.images).softmax(1).mean(0), goal, atol=0.05)


def test_labels_and_one_hot_targets_are_the_same_thing():
    examples = blobs(64)
    taught = examples.taught(as_probabilities(examples.labels, CLASSES))
    assert same_weights(_trained(examples), _trained(taught))


def test_records_of_weight_zero_do_not_move_the_model():
    before = dict(tiny_net().named_parameters())
    net = tiny_net()
    fit(net, replace(blobs(64), weights=torch.zeros(64)), RECIPE.model_copy(update={"weight_decay": 0.0}), SEEDS)
    assert all(torch.equal(value, before[name]) for name, value in net.named_parameters())


def test_what_a_record_of_weight_zero_is_taught_does_not_matter():
    examples = replace(blobs(64), weights=(torch.arange(64) % 2).float())
    relabelled = replace(examples, labels=torch.where(torch.arange(64) % 2 == 0, 0, examples.labels))
    assert not torch.equal(relabelled.labels, examples.labels)
    assert same_weights(_trained(examples), _trained(relabelled))
    assert not same_weights(_trained(examples), _trained(replace(examples, weights=None)))


def test_input_noise_is_per_record_and_stays_in_range():
    examples = blobs(64, spread=0.05)
    noise = torch.where(torch.arange(64) < 32, 0.1, 0.0)
    for batch in _batches(replace(examples, noise=noise), RECIPE):
        clean = examples.images[batch.rows].float() / 255
        moved = (batch.views - clean)[noise[batch.rows] > 0]
        assert torch.equal(batch.views[noise[batch.rows] == 0], clean[noise[batch.rows] == 0])
        assert batch.views.min() >= 0
        assert batch.views.max() <= 1
        inside = moved[(clean[noise[batch.rows] > 0] > 0.3) & (clean[noise[batch.rows] > 0] < 0.7)]
        assert 0.07 < float(inside.std()) < 0.13


def test_noise_of_zero_is_not_drawn(monkeypatch):
    monkeypatch.setattr(step, "gaussian", None)
    silent = replace(blobs(64), noise=torch.zeros(64))
    assert same_weights(_trained(silent), _trained(blobs(64)))
    with pytest.raises(TypeError):
        _trained(replace(blobs(64), noise=torch.full((64,), 0.1)))


def test_noise_differs_from_step_to_step_and_with_its_seed():
    grey = torch.full_like(blobs(16).images, 128)  # so that a view shows its noise alone, whatever the order
    noisy = replace(blobs(16), images=grey, noise=torch.full((16,), 0.1))
    once, twice = _batches(noisy, RECIPE)
    assert not torch.equal(once.views, twice.views)
    other = _batches(noisy, RECIPE, SEEDS.model_copy(update={"unlearn": 9}))
    assert not torch.equal(once.views, other[0].views)


def test_augmentation_reaches_the_model():
    assert not same_weights(_trained(), _trained(recipe=RECIPE.model_copy(update={"augment": "shift"})))


def test_label_smoothing_leaves_probabilities_as_they_are():
    some = blobs(32)
    soft = some.taught(torch.full((32, 3), 1 / 3))
    for batch in _batches(soft, RECIPE.model_copy(update={"label_smoothing": 0.3})):
        assert torch.equal(batch.targets, torch.full_like(batch.targets, 1 / 3))


def test_label_smoothing_mixes_the_targets_with_the_uniform():
    for batch in _batches(blobs(32), RECIPE.model_copy(update={"label_smoothing": 0.3})):
        assert torch.allclose(batch.targets, 0.7 * as_probabilities(batch.labels, CLASSES) + 0.1)


def test_the_gradient_is_clipped():
    net = tiny_net()
    before = torch.cat([value.detach().clone().flatten() for value in net.parameters()])
    fit(net, blobs(32), PLAIN.model_copy(update={"clip_norm": 1e-3}), SEEDS)
    moved = torch.cat([value.detach().flatten() for value in net.parameters()]) - before
    assert float(moved.norm()) == pytest.approx(1e-3, rel=1e-2)


def test_an_objective_of_ones_own_is_used():
    def climb(model, batch):
        loss, logits = soft_cross_entropy(model, batch)
        return -loss, logits

    gentle = RECIPE.model_copy(update={"lr": 0.005})
    down = fit(tiny_net(), blobs(64), gentle, SEEDS).history
    up = fit(tiny_net(), blobs(64), gentle, SEEDS, objective=climb).history
    assert down[-1]["loss"] < down[0]["loss"]
    assert -up[-1]["loss"] > -up[0]["loss"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("step", [0, 3])
def test_a_loss_that_is_not_finite_is_refused(bad, step):
    steps = []

    def burst(model, batch):
        loss, logits = soft_cross_entropy(model, batch)
        steps.append(0)
        return (loss * 0 + bad if len(steps) == step + 1 else loss), logits

    with pytest.raises(ModelError, match=r"no longer finite in epoch 1.*Lower `lr`"):
        fit(tiny_net(), blobs(64), RECIPE, SEEDS, objective=burst)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_records_are_refused(n):
    with pytest.raises(DataError, match=f"There are {n} records"):
        fit(tiny_net(), blobs(8).take(torch.arange(n)), RECIPE, SEEDS)


def test_an_odd_number_in_batches_of_two():
    sizes = [len(batch.rows) for batch in _batches(blobs(5), RECIPE.model_copy(update={"batch_size": 2}))]
    assert sizes == [3, 2, 3, 2]


def test_both_precisions_learn_and_differ():
    nets = {}
    for precision in ("fp32", "bf16"):
        nets[precision] = tiny_net()
        report = fit(nets[precision], blobs(64), RECIPE.model_copy(update={"precision": precision}), SEEDS)
        assert report.precision == precision
        assert report.history[-1]["loss"] < report.history[0]["loss"]
        assert all(value.dtype == torch.float32 for value in nets[precision].parameters())
    assert not same_weights(weights_of(nets["fp32"]), weights_of(nets["bf16"]))


def test_the_model_is_left_in_evaluation_mode_and_trained_in_training_mode():
    modes = []

    def watch(model, batch):
        modes.append(model.training)
        return soft_cross_entropy(model, batch)

    net = tiny_net().eval()
    fit(net, blobs(16), RECIPE, SEEDS, objective=watch)
    assert modes == [True, True]
    assert not net.training


@pytest.mark.parametrize("fails", [False, True])
def test_the_process_gets_its_settings_back(fails):
    inside = []

    def watch(model, batch):
        inside.append((torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()))
        if fails:
            raise RuntimeError("stop")
        return soft_cross_entropy(model, batch)

    before = torch.random.get_rng_state()
    try:
        fit(tiny_net(), replace(blobs(16), noise=torch.ones(16)), RECIPE, SEEDS, objective=watch, threads=2)
    except RuntimeError as error:
        assert fails and str(error) == "stop"  # noqa: PT017  both ways are looked at below
    assert set(inside) == {(True, 2)}
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == 1
    assert torch.equal(torch.random.get_rng_state(), before)


def test_progress_counts_up_to_the_last_step():
    calls = []
    fit(tiny_net(), blobs(160), RECIPE, SEEDS, progress=lambda *call: calls.append(call))
    assert [step for step, _, _ in calls] == [8, 10, 16, 20]
    assert {total for _, total, _ in calls} == {20}
    assert calls[0][2] == {}
    assert calls[-1][2]["epoch"] == 2
