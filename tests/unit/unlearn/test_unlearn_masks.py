"""Importance of weights, and the methods that may move only some of them."""

from functools import partial

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.synthetic import MEMORISE, SEEDS, same_weights, tiny_net, weights_of
from tmu.errors import ConfigError
from tmu.train import fit
from tmu.unlearn import get_method, read_options
from tmu.unlearn.importance import diagonal_fisher, mean_gradient
from tmu.unlearn.salun import HoldOthers, saliency_mask
from tmu.unlearn.sfr_on import ForgetStep, masked_step, weighed_loss
from tmu.unlearn.ssd import dampen


def _gradients_of_each(model, examples):
    """One record at a time, by plain backward passes."""
    for i in range(len(examples)):
        loss = cross_entropy(model(examples.images[i : i + 1].float() / 255), examples.labels[i : i + 1])
        yield torch.autograd.grad(loss, list(model.parameters()))


def _close(measured, expected) -> bool:
    return all(
        torch.allclose(got, want, rtol=1e-3, atol=1e-4 * float(want.abs().max()) + 1e-12)
        for got, want in zip(measured.values(), expected, strict=True)
    )


def test_importance_agrees_with_one_record_at_a_time(make_problem):
    """An untrained net, so that no gradient drowns in rounding; more records than go through at once."""
    problem, net = make_problem(), tiny_net().eval()
    some = problem.retain.take(torch.arange(70))
    each = list(_gradients_of_each(net, some))
    assert _close(
        mean_gradient(net, some, "cpu", batch_size=32), [sum(parts) / 70 for parts in zip(*each, strict=True)]
    )
    squares = [sum(part**2 for part in parts) / 70 for parts in zip(*each, strict=True)]
    assert _close(diagonal_fisher(net, some, "cpu"), squares)
    assert all(parameter.grad is None for parameter in net.parameters())
    assert same_weights(weights_of(net), weights_of(tiny_net()))


def test_importance_to_nobody_is_zero(make_problem):
    nobody = make_problem().forget.take(torch.arange(0))
    for measure in (mean_gradient, diagonal_fisher):
        assert not any(bool(value.any()) for value in measure(tiny_net(), nobody, "cpu").values())


def test_the_saliency_mask_takes_the_largest_of_all_weights_together():
    gradient = {"a": torch.tensor([0.1, -5.0, 0.2, 4.0]), "b": torch.tensor([[3.0, -0.3]])}
    mask = saliency_mask(gradient, 0.5)
    assert mask["a"].tolist() == [False, True, False, True]
    assert mask["b"].tolist() == [[True, False]]
    assert all(bool(part.all()) for part in saliency_mask(gradient, 1.0).values())


@pytest.mark.parametrize("keep", [0.2, 0.5])
def test_salun_moves_salient_weights_alone(make_problem, solved, keep):
    """With weight decay and momentum, which would move a weight whose gradient is masked."""
    seen = []

    def watch(*given, **hooks):
        seen.append(hooks["after_step"])
        return fit(*given, **hooks)

    problem = make_problem(fit=watch, recipe=MEMORISE.model_copy(update={"weight_decay": 1e-2}))
    model = get_method("salun").unlearn(problem, read_options("salun", {"steps": 24, "keep": keep})).model
    (hook,) = seen
    mask = torch.cat([part.flatten() for part in hook.mask.values()])
    before = torch.cat([value.detach().flatten() for value in solved.original.parameters()])
    after = torch.cat([value.detach().flatten() for value in model.parameters()])
    assert float(mask.float().mean()) == pytest.approx(keep, abs=0.01)
    assert torch.equal(after[~mask], before[~mask])
    assert float((after != before)[mask].float().mean()) > 0.95


class _Stop(Exception):
    pass


@pytest.mark.parametrize(("name", "steps"), [("salun", 40), ("sfr-on", 42)])
def test_a_masked_run_resumes_to_the_same_weights(make_problem, tmp_path, name, steps):
    """Killed after step 18 or so and run again: the mask comes back from the original, the hook from the step."""
    short = read_options(name, {"steps": steps})

    def stop(done, total, numbers):
        if done >= 16:
            raise _Stop

    bound = partial(fit, snapshot=tmp_path / "snapshot", snapshot_seconds=0)
    with pytest.raises(_Stop):
        get_method(name).unlearn(make_problem(fit=partial(bound, progress=stop)), short)
    resumed = get_method(name).unlearn(make_problem(fit=bound), short)
    whole = get_method(name).unlearn(make_problem(), short)
    assert resumed.fit.resumed_at > 10
    assert same_weights(weights_of(resumed.model), weights_of(whole.model))


def _forget_step(problem, **options) -> ForgetStep:
    of_forget, of_retain = (diagonal_fisher(problem.model, part, "cpu") for part in (problem.forget, problem.retain))
    mask = {name: value >= of_retain[name] for name, value in of_forget.items()}
    chosen = read_options("sfr-on", {"alpha": 1000.0, **options})
    return ForgetStep(problem.forget, mask, chosen, problem.recipe, SEEDS, steps=20)


def test_a_forget_step_of_sfr_on_climbs_and_moves_masked_weights_alone(make_problem):
    problem = make_problem()
    hook = _forget_step(problem, alpha=25.0)  # small, so that the sign shows
    before = {name: value.detach().clone() for name, value in problem.model.named_parameters()}
    views = problem.forget.images.float() / 255
    known = cross_entropy(problem.model.eval()(views), problem.forget.labels).detach()
    hook(problem.model, 5)
    assert cross_entropy(problem.model(views), problem.forget.labels) > 1.001 * known
    for name, value in problem.model.named_parameters():
        assert torch.equal(value[~hook.mask[name]], before[name][~hook.mask[name]])
    share = torch.cat([part.flatten() for part in hook.mask.values()]).float().mean()
    assert 0.02 < float(share) < 0.6
    assert any(not torch.equal(value, before[name]) for name, value in problem.model.named_parameters())


def test_sfr_on_steps_when_due_and_never_last(make_problem):
    """Not even its batch-norm statistics: the last that they see is the retain set."""
    problem = make_problem()
    hook, moved = _forget_step(problem), []
    for done in range(1, 21):
        before = weights_of(problem.model)
        hook(problem.model.train(), done)
        moved.append(not same_weights(before, weights_of(problem.model)))
    assert [done for done, did in enumerate(moved, 1) if did] == [5, 10, 15]


def test_sfr_on_goes_through_the_whole_forget_set(make_problem):
    problem = make_problem()
    hook = _forget_step(problem)
    batches = [hook.batch_of(number) for number in range(4)]  # two batches of 24 a pass
    assert [len(labels) for _, labels in batches] == [24] * 4
    for first, second in (batches[:2], batches[2:]):
        seen = torch.cat([first[0], second[0]]).flatten(1).sum(1).sort().values
        assert torch.allclose(seen, (problem.forget.images.float() / 255).flatten(1).sum(1).sort().values)
    assert not torch.equal(batches[0][1], batches[2][1])


def test_well_known_records_weigh_more_in_a_forget_step():
    losses = torch.tensor([0.01, 1.0, 4.0], requires_grad=True)
    weights = torch.tensor([10.0, 1.0, 0.5])
    weights = weights / weights.mean()
    loss = weighed_loss(losses, 0.5)
    assert loss.item() == pytest.approx((weights * losses).mean().item(), rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, losses)
    assert gradient.tolist() == pytest.approx((weights / 3).tolist(), rel=1e-5)


@pytest.mark.parametrize(("clip", "length"), [(1e-3, 1e-3), (1e9, None)])
def test_a_forget_steps_gradient_is_clipped(clip, length):
    net = tiny_net().eval()
    loss = net(torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))).square().sum()
    full = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(net.parameters()), retain_graph=True)])
    mask = {name: torch.ones_like(value, dtype=torch.bool) for name, value in net.named_parameters()}
    before = torch.cat([value.detach().clone().flatten() for value in net.parameters()])
    masked_step(net, loss, mask, 0.5, clip)
    moved = before - torch.cat([value.detach().flatten() for value in net.parameters()])
    assert float(moved.norm()) == pytest.approx(0.5 * (length or float(full.norm())), rel=1e-2)


def test_ssd_dampens_the_selected_weights_alone():
    net = tiny_net()
    generator = torch.Generator().manual_seed(0)
    of_forget = {name: torch.rand(value.shape, generator=generator) for name, value in net.named_parameters()}
    of_all = {name: torch.rand(value.shape, generator=generator) for name, value in net.named_parameters()}
    before = {name: value.detach().clone() for name, value in net.named_parameters()}
    options = read_options("ssd", {"alpha": 3.0, "dampening": 1.5})
    count = dampen(net, of_forget, of_all, options)
    selected = 0
    for name, value in net.named_parameters():
        for old, new, f, d in zip(
            *(part.flatten().tolist() for part in (before[name], value.detach(), of_forget[name], of_all[name])),
            strict=True,
        ):
            chosen = f > 3.0 * d
            selected += chosen
            assert new == (pytest.approx(old * min(1.5 * d / f, 1.0), rel=1e-4, abs=1e-9) if chosen else old)
    assert count == selected > 100


def test_ssd_on_the_solved_problem_leaves_most_weights_as_they_were(make_problem, solved):
    outcome = get_method("ssd").unlearn(make_problem(), read_options("ssd", {"alpha": 2.0}))
    changed = sum(
        int((value != old).sum())
        for value, old in zip(outcome.model.parameters(), solved.original.parameters(), strict=True)
    )
    total = sum(value.numel() for value in outcome.model.parameters())
    assert 0 < changed <= outcome.notes["n_selected"] < 0.5 * total
    assert (outcome.fit.steps, outcome.fit.history) == (0, [])
    statistics = dict(solved.original.named_buffers())
    assert all(torch.equal(value, statistics[name]) for name, value in outcome.model.named_buffers())


def test_ssd_refuses_an_alpha_that_can_select_nothing(make_problem, solved):
    """I_f / I_D is at most 240 / 48 = 5."""
    problem = make_problem()
    with pytest.raises(ConfigError, match=r"alpha 10 can select no weight: 48 of 240.*below 5\."):
        get_method("ssd").unlearn(problem, read_options("ssd", {}))
    of_forget, of_retain = (diagonal_fisher(problem.model, part, "cpu") for part in (problem.forget, problem.retain))
    of_all = {name: 0.2 * value + 0.8 * of_retain[name] for name, value in of_forget.items()}
    assert dampen(problem.model, of_forget, of_all, read_options("ssd", {"alpha": 5.001})) == 0


def test_ssd_with_nothing_to_forget_changes_nothing(make_problem, solved):
    nobody = make_problem().forget.take(torch.arange(0))
    outcome = get_method("ssd").unlearn(make_problem(forget=nobody), read_options("ssd", {}))
    assert same_weights(weights_of(outcome.model), weights_of(solved.original))


def test_the_mask_holds_other_weights_whatever_moved_them():
    net = tiny_net()
    held = {name: value.detach().clone() for name, value in net.named_parameters()}
    mask = {name: torch.arange(value.numel()).reshape(value.shape) % 2 == 0 for name, value in held.items()}
    with torch.no_grad():
        for value in net.parameters():
            value.add_(1)
    HoldOthers(mask, held)(net, 1)
    for name, value in net.named_parameters():
        assert torch.equal(value, torch.where(mask[name], held[name] + 1, held[name]))
