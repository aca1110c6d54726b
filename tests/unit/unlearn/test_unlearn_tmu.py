"""TMU: where it starts, whom it calls hard, and what it teaches to whom."""

import pytest
import torch

from tests.synthetic import CLASSES, same_weights, weights_of
from tmu.train import fit, logits_of
from tmu.train.examples import as_probabilities
from tmu.unlearn import read_options
from tmu.unlearn import tmu as method
from tmu.unlearn.choose import hard_count, hardest, random_choice


class _Watched:
    """The engine, with what it was given."""

    def __call__(self, model, examples, recipe, seeds, **hooks):
        self.start, self.examples, self.recipe = weights_of(model), examples, recipe
        return fit(model, examples, recipe, seeds, **hooks)


def _run(make_problem, **options):
    watched = _Watched()
    problem = make_problem(fit=watched)
    outcome = method.unlearn(problem, read_options("tmu", {"steps": 8, **options}))
    taught = watched.examples.take(torch.arange(240) < 48)
    return problem, outcome, watched, taught


def _hard(make_problem, solved) -> tuple[torch.Tensor, torch.Tensor]:
    """(who is hard, the original's logits) computed step by step."""
    problem = make_problem()
    side = solved.twin.side(problem.model, problem.forget, problem.retain, "cpu")
    count = hard_count(problem.forget.labels, solved.twin.predictor.class_error)
    assert 3 < count < 25
    return hardest(solved.twin.p_wrong(side), count), side.logits


def test_it_starts_from_the_original_and_not_from_the_twin(make_problem, solved):
    """The published code starts from M_t, which contains the hold-out."""
    watched = _Watched()
    problem = make_problem(fit=watched)
    outcome = method.unlearn(problem, read_options("tmu", {"steps": 8}))
    assert same_weights(watched.start, weights_of(solved.original))
    assert not same_weights(watched.start, weights_of(solved.twin.model))
    assert outcome.model is problem.model
    assert len(watched.examples) == 240
    assert not set(watched.examples.keys.tolist()) & set(solved.holdout.keys.tolist())


def test_hard_ones_are_taught_the_runner_up_and_easy_ones_their_label_with_noise(make_problem, solved):
    hard, logits = _hard(make_problem, solved)
    problem, outcome, watched, taught = _run(make_problem, hard_weight=3.0, easy_weight=0.5, noise=0.1)
    labels = problem.forget.labels
    for i in range(48):
        others = [k for k in range(CLASSES) if k != int(labels[i])]
        runner_up = max(others, key=lambda k: float(logits[i, k]))
        assert int(taught.targets[i].argmax()) == (runner_up if hard[i] else int(labels[i]))
    assert torch.equal(taught.labels, labels)  # the true labels stay for the report
    assert torch.equal(taught.weights, torch.where(hard, 3.0, 0.5))
    assert torch.equal(taught.noise, torch.where(hard, 0.0, 0.1))
    kept = watched.examples.take(torch.arange(240) >= 48)
    assert torch.equal(kept.targets, as_probabilities(problem.retain.labels, CLASSES))
    assert (kept.weights == 1).all()
    assert (kept.noise == 0).all()
    assert outcome.notes == {"n_forget": 48, "n_hard": int(hard.sum()), "noise": 0.1}


def test_labels_are_as_sure_as_the_original_is_of_the_hold_out(make_problem, solved):
    hard, _ = _hard(make_problem, solved)
    problem, _, _, taught = _run(make_problem, noise=0.0)
    sure, (of_true, of_answer) = solved.twin.easy_confidence, solved.twin.hard_confidence
    assert taught.targets.sum(1).tolist() == pytest.approx([1.0] * 48, abs=1e-6)
    of_label = taught.targets.gather(1, problem.forget.labels[:, None])[:, 0]
    assert of_label[~hard].tolist() == pytest.approx([sure] * int((~hard).sum()), abs=1e-5)
    assert of_label[hard].tolist() == pytest.approx([of_true] * int(hard.sum()), abs=1e-5)
    assert taught.targets[hard].amax(1).tolist() == pytest.approx([of_answer] * int(hard.sum()), abs=1e-5)


def test_labels_are_wholly_sure_when_asked(make_problem, solved):
    hard, _ = _hard(make_problem, solved)
    problem, _, _, taught = _run(make_problem, confidence="one", noise=0.0)
    assert torch.equal(taught.targets, as_probabilities(taught.targets.argmax(1), CLASSES))
    assert torch.equal(taught.targets.argmax(1) != problem.forget.labels, hard)


def test_random_wrong_labels_are_wrong(make_problem, solved):
    hard, _ = _hard(make_problem, solved)
    problem, _, _, taught = _run(make_problem, hard_label="random", noise=0.0)
    assert torch.equal(taught.targets.argmax(1) != problem.forget.labels, hard)


def test_the_control_row_has_the_right_number_but_draws_it_blindly(make_problem, solved):
    hard, _ = _hard(make_problem, solved)
    problem, outcome, _, taught = _run(make_problem, selection="random", noise=0.0)
    drawn = taught.targets.argmax(1) != problem.forget.labels
    assert int(drawn.sum()) == outcome.notes["n_hard"] == int(hard.sum())
    assert torch.equal(drawn, random_choice(problem.forget.keys, int(hard.sum()), problem.seeds.unlearn))
    assert not torch.equal(drawn, hard)


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1])
def test_matching_noise_hits_the_confidence(make_problem, share):
    """Goals between the confidence without noise and with the most noise that is tried, on any processor."""
    problem = make_problem()
    least, most = (method.noised_confidence(problem.model, problem.forget, noise, problem) for noise in (0.5, 0.0))
    assert least < most - 0.2
    goal = least + share * (most - least)
    sigma = method.matching_noise(problem.model, problem.forget, goal, problem)
    assert 0.005 < sigma < 0.5
    assert method.noised_confidence(problem.model, problem.forget, sigma, problem) == pytest.approx(goal, abs=0.02)
    fresh = torch.tensor([_fresh_confidence(problem, sigma, seed) for seed in range(6)])  # not the bisection's noise
    assert float(fresh.mean()) == pytest.approx(goal, abs=0.02 + 4 * float(fresh.std()))


def _fresh_confidence(problem, sigma: float, seed: int) -> float:
    noise = torch.randn(problem.forget.images.shape, generator=torch.Generator().manual_seed(seed))
    views = problem.forget.images.float() / 255 + sigma * noise
    logits = logits_of(problem.model, (views.clamp(0, 1) * 255).round().to(torch.uint8))
    return float(logits.softmax(1).gather(1, problem.forget.labels[:, None]).mean())


def test_no_noise_where_the_original_is_unsure_already_or_nobody_is_easy(make_problem):
    problem = make_problem()
    assert method.matching_noise(problem.model, problem.forget, 1.0, problem) < 2e-3
    nobody = problem.forget.take(torch.zeros(48, dtype=torch.bool))
    assert method.matching_noise(problem.model, nobody, 0.5, problem) == 0.0


def test_automatic_noise_aims_at_the_easy_hold_out_records(make_problem, solved):
    hard, _ = _hard(make_problem, solved)
    problem, outcome, _, _ = _run(make_problem)
    easy = make_problem().forget.take(~hard)
    reached = method.noised_confidence(solved.original, easy, outcome.notes["noise"], problem)
    assert reached == pytest.approx(solved.twin.easy_confidence, abs=0.02)
