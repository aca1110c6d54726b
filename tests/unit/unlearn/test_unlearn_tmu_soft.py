"""Soft labels from the references: what is taught to whom, in which batches, and that nothing better is asked."""

from dataclasses import replace

import pytest
import torch

from tests.synthetic import SEEDS, same_weights, weights_of
from tmu.train import fit, logits_of
from tmu.twin.replay import Replay, replay_weights
from tmu.unlearn import read_options
from tmu.unlearn import tmu_soft as soft
from tmu.unlearn.problem import Lessons


def _run(make_problem, **fields):
    """(problem, outcome, what the engine was given)"""
    given = []

    def watch(model, examples, recipe, seeds, **hooks):
        given.append((weights_of(model), examples, recipe, hooks["sampler"]))
        return fit(model, examples, recipe, seeds, **hooks)

    problem = make_problem(fit=watch, **fields)
    outcome = soft.unlearn(problem, read_options("tmu-soft", {}))
    (seen,) = given
    return problem, outcome, seen


def _sure(model, examples) -> torch.Tensor:
    return logits_of(model, examples.images).softmax(1).gather(1, examples.labels[:, None])[:, 0]


def test_the_forget_set_is_taught_the_twins_targets_with_the_plans_lead(make_problem, solved):
    problem, outcome, (_, taught, recipe, _) = _run(make_problem)
    lessons, plan = problem.lessons, problem.lessons.twin.plan(48)
    own = logits_of(solved.original, problem.forget.images).log_softmax(1)
    q = lessons.twin.targets(lessons.forget, own, lessons.lost, plan.lead)
    assert torch.allclose(taught.targets[:48], q, atol=1e-5)
    assert not torch.allclose(q, lessons.twin.targets(lessons.forget, own, lessons.lost), atol=0.02)
    assert torch.equal(taught.targets[48:].argmax(1), problem.retain.labels)
    assert (taught.targets[48:].amax(1) == 1).all()
    assert torch.equal(taught.labels, torch.cat([problem.forget.labels, problem.retain.labels]))
    assert recipe.lr == plan.lr == pytest.approx(0.05)
    truth = float(q.gather(1, problem.forget.labels[:, None]).mean())
    assert outcome.notes == {
        "n_forget": 48,
        "mean_p_wrong": pytest.approx(1 - truth, abs=1e-4),
        "batches": plan.batches,
        "lr": plan.lr,
        "lead": plan.lead,
        "replayed": plan.draws,
    }


def test_batches_are_of_forget_set_and_replay_by_what_was_memorised(make_problem):
    problem, outcome, (*_, sampler) = _run(make_problem)
    plan, weights = problem.lessons.twin.plan(48), replay_weights(problem.lessons.replay)
    assert float(weights.max()) > 5 * float(weights.min())
    keys = problem.forget.keys, problem.retain.keys
    wanted = Replay(*keys, weights, plan.forget, plan.replay, SEEDS.unlearn)
    for epoch in range(3):
        assert all(torch.equal(a, b) for a, b in zip(sampler(epoch), wanted(epoch), strict=True))
    assert outcome.fit.steps == plan.batches == 24


def test_confidence_falls_towards_what_networks_say_that_never_saw_them(make_problem, solved, referred):
    _, outcome, _ = _run(make_problem)
    forget, rest = solved.train.take(torch.arange(240) < 48), solved.train.take(torch.arange(240) >= 48)
    before, after = (_sure(model, forget).mean() for model in (solved.original, outcome.model))
    unseen = referred.rows.take(torch.arange(240) < 48).unseen().gather(1, forget.labels[:, None]).mean()
    assert float(before) > 0.98 > float(unseen) + 0.05
    assert float(before - after) > 0.5 * float(before - unseen)
    assert float(after) > float(unseen) - 0.1
    assert float(_sure(outcome.model, rest).mean()) > 0.93
    hits = [(logits_of(m, solved.holdout.images).argmax(1) == solved.holdout.labels).float().mean() for m in
            (solved.original, outcome.model)]  # fmt: skip
    assert abs(float(hits[0] - hits[1])) < 0.05  # of 240 noisy records; one in a hundred: tests/integration


def test_the_answers_come_near_their_targets(make_problem, solved):
    _, outcome, (_, taught, *_) = _run(make_problem)
    forget, q = solved.train.take(torch.arange(240) < 48), taught.targets[:48]
    apart = [
        float((logits_of(model, forget.images).softmax(1) - q).norm(dim=1).mean())
        for model in (solved.original, outcome.model)
    ]
    assert apart[1] < 0.7 * apart[0]


def test_it_starts_from_the_original_and_asks_for_no_other_network(make_problem, solved):
    """A gold, or a way to one: a fresh network, a training on D_r alone, the fine-tuned twin, the hold-out."""

    def fresh():
        raise AssertionError("a fresh network was requested")

    problem, outcome, (start, taught, _, _) = _run(make_problem, fresh=fresh, twin=None, holdout=None)
    assert same_weights(start, weights_of(solved.original))
    assert outcome.model is problem.model
    assert set(taught.keys.tolist()) == set(solved.train.keys.tolist())


def test_torchs_generator_stays_as_it_was(make_problem):
    torch.manual_seed(123)
    before = torch.get_rng_state()
    _run(make_problem)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_class_that_goes_whole_is_taught_to_nobody(make_problem, solved, referred):
    first = solved.train.labels == 0
    lost = torch.tensor([1.0, 0.0, 0.0, float(first.float().mean())])
    lessons = Lessons(referred.rows.take(first), referred.rows.take(~first), referred.twin, lost)
    parts = {"forget": solved.train.take(first), "retain": solved.train.take(~first), "lessons": lessons}
    _, outcome, (_, taught, *_) = _run(make_problem, **parts)
    assert float(taught.targets[: int(first.sum()), 0].max()) < 1e-5
    assert float(_sure(outcome.model, parts["forget"]).mean()) < 0.5


def test_a_part_of_the_retain_set_is_enough(make_problem, solved, referred):
    some = (torch.arange(240) >= 48) & (torch.arange(240) % 2 == 0)
    lessons = Lessons(
        referred.rows.take(torch.arange(240) < 48), referred.rows.take(some), referred.twin, torch.full((4,), 0.2)
    )
    _, outcome, (_, taught, *_) = _run(make_problem, retain=solved.train.take(some), lessons=lessons)
    assert len(taught) == 48 + int(some.sum())
    assert float(_sure(outcome.model, solved.train.take(some)).mean()) > 0.93


def test_rows_of_other_records_would_teach_something_else(make_problem, referred):
    """Lessons are by place: the step must hand them over in the order of the sets (`tmu/steps/lessons.py`)."""
    problem = make_problem()
    turned = replace(problem.lessons, forget=problem.lessons.forget.take(torch.arange(47, -1, -1)))
    targets = [_run(make_problem, lessons=given)[2][1].targets[:48] for given in (problem.lessons, turned)]
    assert not torch.allclose(*targets, atol=0.1)


def test_a_killed_run_ends_in_the_same_weights(make_problem, tmp_path):
    class Killed(Exception):
        pass

    def run(stop_after: int | None = None, **snapshots):
        def progress(done, steps, numbers):
            if done == stop_after:
                raise Killed

        def engine(*args, **hooks):
            return fit(*args, **hooks, **snapshots, progress=progress)

        return soft.unlearn(make_problem(fit=engine), read_options("tmu-soft", {}))

    kept = {"snapshot": tmp_path / "snapshot", "snapshot_seconds": 0.0}
    with pytest.raises(Killed):
        run(16, **kept)
    again, whole = run(**kept), run()
    assert again.fit.resumed_at > 8
    assert same_weights(weights_of(again.model), weights_of(whole.model))
    assert again.notes == whole.notes
