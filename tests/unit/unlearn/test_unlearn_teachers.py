"""Losses that methods bring along, against plain loops; and teachers that stay as they are."""

import math

import pytest
import torch

from tests.synthetic import CLASSES, same_weights, tiny_net, weights_of
from tmu.train.batch import Batch, soft_cross_entropy
from tmu.unlearn import bad_teacher, get_method, read_options, scrub
from tmu.unlearn.bad_teacher import two_teachers
from tmu.unlearn.l1_sparse import sparse_objective
from tmu.unlearn.scrub import leave, stay
from tmu.unlearn.teacher import divergence, frozen


def _batch(problem, done: float = 0.0) -> Batch:
    """The last four forgotten and the first four retained records, as the objective of a joint run sees them."""
    rows = torch.arange(44, 52)
    both = torch.cat([problem.forget.images, problem.retain.images])[rows].float() / 255
    labels = torch.cat([problem.forget.labels, problem.retain.labels])[rows]
    targets = torch.nn.functional.one_hot(labels, CLASSES).float()
    return Batch(both, rows, labels, targets, None, done)


def _naive(teacher_logits, student_logits, temperature: float) -> float:
    """T² · mean KL by the definition."""
    total = 0.0
    for t, s in zip(teacher_logits, student_logits, strict=True):
        p, q = torch.softmax(t / temperature, 0), torch.softmax(s / temperature, 0)
        total += sum(float(p[k]) * math.log(float(p[k]) / float(q[k])) for k in range(len(p)))
    return temperature**2 * total / len(teacher_logits)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_divergence_agrees_with_its_definition(temperature):
    generator = torch.Generator().manual_seed(0)
    teacher, student = (torch.randn(6, 5, generator=generator) for _ in range(2))
    assert float(divergence(teacher, student, temperature)) == pytest.approx(
        _naive(teacher, student, temperature), 1e-4
    )
    assert float(divergence(teacher, teacher, temperature)) == pytest.approx(0, abs=1e-6)


@torch.no_grad()
def test_bad_teacher_asks_the_right_teacher_about_each_record(make_problem):
    problem = make_problem()
    good, bad, student = problem.model.eval(), tiny_net(7).eval(), tiny_net(8).eval()
    batch = _batch(problem)
    loss, logits = two_teachers(good, bad, 48, 2.0)(student, batch)
    taught = torch.cat([bad(batch.views[:4]), good(batch.views[4:])])
    assert float(loss) == pytest.approx(_naive(taught, student(batch.views), 2.0), rel=1e-3)
    assert torch.equal(logits, student(batch.views))


@torch.no_grad()
def test_scrub_leaves_and_stays(make_problem):
    problem = make_problem()
    teacher, student, batch = problem.model.eval(), tiny_net(8).eval(), _batch(problem)
    away = _naive(teacher(batch.views), student(batch.views), 4.0)
    assert away > 0
    assert float(leave(teacher, 4.0)(student, batch)[0]) == pytest.approx(-away, rel=1e-3)
    options = read_options("scrub", {"alpha": 0.25, "gamma": 2.0})
    entropy = float(soft_cross_entropy(student, batch)[0])
    assert float(stay(teacher, options)(student, batch)[0]) == pytest.approx(0.25 * away + 2 * entropy, rel=1e-3)


@torch.no_grad()
@pytest.mark.parametrize(("done", "factor"), [(0.0, 2.0), (0.5, 1.0), (0.9, 0.2)])
def test_the_pressure_of_l1_sparse_falls_to_nothing(make_problem, done, factor):
    problem = make_problem()
    model, batch = problem.model.eval(), _batch(problem, done)
    norm = sum(abs(value) for parameter in model.parameters() for value in parameter.flatten().tolist())
    plain = float(soft_cross_entropy(model, batch)[0])
    assert float(sparse_objective(1e-3)(model, batch)[0]) == pytest.approx(plain + factor * 1e-3 * norm, rel=1e-4)


@pytest.mark.parametrize(("name", "module", "n_teachers"), [("scrub", scrub, 1), ("bad-teacher", bad_teacher, 2)])
def test_teachers_end_as_they_began(make_problem, solved, monkeypatch, name, module, n_teachers):
    kept = []

    def watch(model, device):
        teacher = frozen(model, device)
        kept.append((teacher, weights_of(teacher)))
        return teacher

    monkeypatch.setattr(module, "frozen", watch)
    problem = make_problem()
    get_method(name).unlearn(problem, read_options(name, {"steps": 24}))
    assert len(kept) == n_teachers
    assert all(same_weights(weights_of(teacher), before) for teacher, before in kept)
    assert all(teacher is not problem.model and not teacher.training for teacher, _ in kept)
    assert same_weights(kept[0][1], weights_of(solved.original))
    assert not same_weights(weights_of(problem.model), kept[0][1])


def test_a_frozen_teacher_is_a_copy_without_gradients():
    net = tiny_net().train()
    teacher = frozen(net, "cpu")
    with torch.no_grad():
        next(net.parameters()).add_(1)
    assert not torch.equal(next(net.parameters()), next(teacher.parameters()))
    assert net.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
