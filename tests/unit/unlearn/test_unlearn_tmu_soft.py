"""Soft labels: what is taught to whom, what each option changes, and that nothing better than the twin is asked."""

import json
import math
from dataclasses import replace
from functools import partial

import pytest
import torch

from tests.synthetic import CLASSES, same_weights, weights_of
from tmu.config import Seeds
from tmu.errors import ConfigError
from tmu.train import fit, logits_of
from tmu.train.examples import as_probabilities
from tmu.twin.cross_fit import fold_of
from tmu.twin.freeze import freeze
from tmu.unlearn import read_options
from tmu.unlearn import tmu_soft as soft
from tmu.unlearn.calibration import calibrate, expected_margins


def _run(make_problem, **options):
    """(problem, outcome, the one set that the engine was given)."""
    seen = []

    def watch(model, examples, recipe, seeds, **hooks):
        seen.append(examples)
        return fit(model, examples, recipe, seeds, **hooks)

    problem = make_problem(fit=watch)
    outcome = soft.unlearn(problem, read_options("tmu-soft", {"steps": 8, **options}))
    (taught,) = seen
    return problem, outcome, taught


def _targets(make_problem) -> torch.Tensor:
    return soft.predicted_targets(make_problem())


def _side(make_problem):
    problem = make_problem()
    return problem.twin.side(problem.model, problem.forget, problem.retain, "cpu")


def _shares_lost(problem) -> torch.Tensor:
    counts = [
        (int((problem.forget.labels == k).sum()), int((problem.retain.labels == k).sum())) for k in range(CLASSES)
    ]
    return torch.tensor([gone / (gone + kept) for gone, kept in counts] + [48 / 240])


def test_targets_are_the_twins_told_what_is_lost(make_problem, solved):
    lost, side = _shares_lost(make_problem()), _side(make_problem)
    expected = solved.twin.targets.probabilities(side, lost=lost)
    assert torch.allclose(_targets(make_problem), expected, atol=1e-6)
    assert not torch.allclose(expected, solved.twin.targets.probabilities(side), atol=1e-3)
    assert len({round(float(share), 3) for share in lost}) == CLASSES + 1  # uneven, so that a slip would show


def test_a_class_that_goes_as_a_whole_is_taught_to_nobody(make_problem, solved):
    first = solved.train.labels == 0
    problem = make_problem(forget=solved.train.take(first), retain=solved.train.take(~first))
    q = soft.predicted_targets(problem)
    assert float(q[:, 0].max()) < 1e-5
    assert q.sum(1).tolist() == pytest.approx([1.0] * int(first.sum()), abs=1e-5)


def test_the_forget_set_is_taught_the_targets_with_their_weight(make_problem):
    problem, outcome, taught = _run(make_problem, forget_weight=4.0)
    q = _targets(make_problem)
    assert torch.equal(taught.targets[:48], q)
    assert torch.equal(taught.keys, torch.cat([problem.forget.keys, problem.retain.keys]))
    assert torch.equal(taught.labels, torch.cat([problem.forget.labels, problem.retain.labels]))
    assert taught.weights.tolist() == [4.0] * 48 + [1.0] * 192
    assert (taught.noise == 0).all()
    truth = float(q.gather(1, problem.forget.labels[:, None]).mean())
    assert outcome.notes.pop("confidence_factor") > 0
    assert outcome.notes == {
        "n_forget": 48,
        "mean_p_wrong": pytest.approx(1 - truth, abs=1e-5),
        "answers_where_wrong": 0.0,  # the original is hardly ever wrong here, and much is to be unlearned
    }


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
def test_the_retain_set_is_taught_labels_and_the_originals_outputs_in_the_given_shares(make_problem, solved, tau):
    problem, _, taught = _run(make_problem, retain_teacher=tau)
    labels = as_probabilities(problem.retain.labels, CLASSES)
    p = logits_of(solved.original, problem.retain.images).softmax(1)
    assert torch.allclose(taught.targets[48:], (1 - tau) * labels + tau * p, atol=1e-5)
    assert not torch.allclose(labels, p, atol=0.02)
    assert torch.equal(taught.targets[:48], _targets(make_problem))  # the forget set's are not mixed


@pytest.mark.parametrize("option", [{"calibrated": False}, {"without": "seen"}, {"noise": 0.1}, {"retain_teacher": 2}])
def test_an_ablation_switch_or_a_value_out_of_range_is_refused(option):
    with pytest.raises(ConfigError, match=f"Method `tmu-soft`, option `{next(iter(option))}`"):
        read_options("tmu-soft", option)


def test_the_forget_set_moves_to_its_targets_and_the_retain_set_stays(make_problem, solved):
    problem, outcome, taught = _run(make_problem, steps=80)

    def distance(model, examples, targets) -> float:
        return float((logits_of(model, examples.images).softmax(1) - targets).norm(dim=1).mean())

    q, forget, retain = taught.targets[:48], problem.forget, problem.retain
    assert distance(outcome.model, forget, q) < 0.7 * distance(solved.original, forget, q)
    before = [logits_of(solved.original, part.images).softmax(1) for part in (forget, retain)]
    moved = [distance(outcome.model, part, p) for part, p in zip((forget, retain), before, strict=True)]
    assert moved[0] > 1.25 * moved[1]
    before = weights_of(solved.original)
    changes = [float((value.detach() - before[name]).abs().max()) for name, value in problem.model.named_parameters()]
    assert max(changes) > 1e-2


def test_it_asks_no_network_that_was_trained_without_the_forget_set(make_problem, solved):
    """A gold, or a way to one: a training on D_r alone, a fresh network, another model among the twin's."""
    trained = []

    def fresh():
        raise AssertionError("a fresh network was requested")

    def watch(model, examples, recipe, seeds, **hooks):
        trained.append((weights_of(model), set(examples.keys.tolist())))
        return fit(model, examples, recipe, seeds, **hooks)

    problem = make_problem(fit=watch, fresh=fresh)
    soft.unlearn(problem, read_options("tmu-soft", {"steps": 8}))
    ((start, keys),) = trained
    assert same_weights(start, weights_of(solved.original))
    assert keys == set(solved.train.keys.tolist())
    known = [solved.twin.model, *solved.twin.curriculum, *solved.twin.cross_fit.nets]
    assert json.dumps(freeze(solved.twin, {})).count('"network"') == len(known) == 5
    in_second = fold_of(make_problem().forget.keys, solved.twin.cross_fit.seed).float().mean()
    assert 0.2 < in_second < 0.8  # either half has learnt a part of what is to be forgotten: neither is a gold


def test_it_ends_as_sure_of_the_hold_out_as_a_gold(make_problem, solved):
    _, outcome, _ = _run(make_problem, steps=80)
    with pytest.MonkeyPatch.context() as without:
        without.setattr(soft, "calibration", lambda *_: None)
        _, plain, _ = _run(make_problem, steps=80)
    gold = expected_margins(solved.original, solved.twin.cross_fit, solved.holdout, 48 / 240)
    # a factor is at most 2 a time, and rounding decides how far this small net is off before the last one
    left = [abs(math.log(calibrate(each.model, solved.holdout, gold))) for each in (outcome, plain)]
    assert left[1] > 0.1
    assert left[0] < 0.5 * left[1]
    assert outcome.notes["confidence_factor"] > 0 and "confidence_factor" not in plain.notes


def test_a_class_that_goes_as_a_whole_does_not_count_in_the_calibration(make_problem, solved):
    first = solved.train.labels == 0
    problem = make_problem(forget=solved.train.take(first), retain=solved.train.take(~first))
    kept = soft.calibration(problem, 9)
    assert set(kept.holdout.labels.tolist()) == {1, 2} and kept.at == {6, 9}
    nothing = make_problem(holdout=solved.holdout.take(torch.zeros(len(solved.holdout), dtype=torch.bool)))
    assert soft.calibration(nothing, 9) is None


def test_the_calibration_is_taken_from_a_part_of_a_large_hold_out(make_problem, solved, monkeypatch):
    monkeypatch.setattr(soft, "_CALIBRATED_ON", 30)
    parts = [soft.calibration(make_problem(seeds=Seeds.all(seed)), 9).holdout.keys.tolist() for seed in (1, 1, 2)]
    assert [len(set(part)) for part in parts] == [30, 30, 30]
    assert parts[0] == parts[1] != parts[2]
    order = solved.holdout.keys.tolist()
    assert parts[0] == sorted(parts[0], key=order.index)


def test_a_run_that_was_killed_ends_with_the_same_calibration(make_problem, tmp_path):
    class Killed(Exception):
        pass

    def run(stop_after: int | None):
        def dying(model, examples, recipe, seeds, after_step=None):
            def hook(trained, step):
                after_step(trained, step)
                if step == stop_after:
                    raise Killed

            hook.__qualname__ = "same"
            return fit(
                model, examples, recipe, seeds, after_step=hook, snapshot=tmp_path / "s.pt", snapshot_seconds=0.0
            )

        return soft.unlearn(make_problem(fit=dying), read_options("tmu-soft", {"steps": 40}))

    whole = run(None)
    with pytest.raises(Killed):
        run(35)
    again = run(None)
    assert again.fit.resumed_at > 27  # behind the first calibration, at two thirds
    assert same_weights(weights_of(again.model), weights_of(whole.model))
    assert again.notes == whole.notes


def _relabelled(solved, n: int):
    """(the retain set with other labels on its first n records, what the original says of it, where it is wrong)"""
    retain = solved.train.take(torch.arange(240) >= 48)
    answers = logits_of(solved.original, retain.images).softmax(1)
    labels = retain.labels.clone()
    labels[:n] = (answers[:n].argmax(1) + 1) % CLASSES
    return replace(retain, labels=labels), answers, answers.argmax(1) != labels


def test_the_less_there_is_to_unlearn_the_fewer_of_these_labels_are_taught(make_problem, solved):
    retain, answers, wrong = _relabelled(solved, 150)
    shares, labels = [], as_probabilities(retain.labels, CLASSES)
    for n in (8, 16, 48):
        _, outcome, taught = _run(partial(make_problem, retain=retain, forget=solved.train.take(torch.arange(240) < n)))
        share = outcome.notes["answers_where_wrong"]
        assert share == soft.balance(outcome.notes["mean_p_wrong"] * n, int(wrong.sum()))
        half = torch.lerp(labels, answers, 0.5)
        expected = torch.where(wrong[:, None], torch.lerp(half, answers, share), half)
        assert torch.allclose(taught.targets[n:], expected, atol=1e-5)
        shares.append(share)
    assert 1 > shares[0] > shares[1] > shares[2] > 0


def test_the_balance_ends_where_a_third_as_many_errors_are_taught_as_labels_are_left():
    assert [soft.balance(errors, 90) for errors in (0, 10, 15, 30, 300)] == pytest.approx([1, 2 / 3, 1 / 2, 0, 0])
    assert soft.balance(5, 0) == 0  # nothing to learn: whatever is taught, is taught to nobody
