"""What a gold would say, foreseen from references: on simulated networks, whose truth is in hand."""

import math
from dataclasses import replace

import pytest
import torch

from tmu.references.rows import FLOOR, ReferenceRows
from tmu.twin import reference_twin as room
from tmu.twin.margins import margin_of, quantiles
from tmu.twin.reference_twin import Rate, ReferenceTwin, Unseen, fit_answers, terms, usual_rate

N, K, NETS = 3000, 4, 4
GOLD, BOOST, WHIM = 1.4, 5.0, 1.2  # how much surer a network of all of D is; what learning a record adds; own noise


def _normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class World:
    """Records with a truth that every network sees through a noise of its own; what it learned it also knows by heart.

    A gold is a network of nearly all of D: what it says is `GOLD` times surer than a network of half.
    """

    def __init__(self, n: int, seed: int):
        self.n, self.seed = n, 1000 * seed
        truth = 1.5 * _normal(self.seed, n, K)
        self.labels = torch.multinomial(truth.softmax(1), 1, generator=torch.Generator().manual_seed(self.seed))[:, 0]
        self.truth = truth

    def says(self, net: int, scale: float, learned: torch.Tensor | bool = False) -> torch.Tensor:
        """Log-probabilities (n, K) of a network."""
        heart = torch.as_tensor(learned, dtype=torch.float32).expand(self.n)[:, None] * BOOST
        logits = scale * self.truth + WHIM * _normal(self.seed + 1 + net, self.n, K)
        return (logits + heart * torch.nn.functional.one_hot(self.labels, K)).log_softmax(1).clamp_min(FLOOR)

    def rows(self, *, of_d: bool) -> ReferenceRows:
        """Two pairs: of each pair one network has learned a record of D."""
        side = (_normal(self.seed + 500, self.n, NETS // 2) > 0)[:, :, None]
        seen = torch.cat([side, ~side], 2).flatten(1) & torch.tensor(of_d)
        logp = torch.stack([self.says(net, 1.0, seen[:, net]) for net in range(NETS)], 1)
        return ReferenceRows(torch.arange(self.n) + self.seed, self.labels, seen, logp)

    def original(self, *, of_d: bool) -> torch.Tensor:
        return self.says(90, GOLD, of_d)

    def golds(self, number: int = 3) -> list[torch.Tensor]:
        return [self.says(95 + gold, GOLD).exp() for gold in range(number)]


NOTHING = torch.zeros(K + 1)


@pytest.fixture(scope="module")
def world() -> tuple[World, ReferenceTwin]:
    """A set of records of D, not those that the twin was fitted on, and the twin."""
    train, holdout = World(N, 1), World(N, 2)
    unseen = Unseen(holdout.rows(of_d=False), holdout.original(of_d=False))
    twin = fit_answers(train.rows(of_d=True), train.original(of_d=True), unseen)
    return World(1000, 3), twin


def _targets(world, twin, lost=NOTHING, lead=0.0) -> torch.Tensor:
    return twin.targets(world.rows(of_d=True), world.original(of_d=True), lost, lead)


def _apart(p: torch.Tensor, golds: list[torch.Tensor]) -> float:
    return sum(float((p - gold).norm(dim=1).mean()) for gold in golds) / len(golds)


def test_the_planted_truth_is_recovered_better_than_by_the_plain_mean(world):
    given, twin = world
    golds, mean = given.golds(), given.rows(of_d=True).unseen()
    truth = (GOLD * given.truth).softmax(1)
    q = _targets(given, twin)
    assert _apart(q, golds) < 0.97 * _apart(mean, golds)
    assert _apart(q, [truth]) < 0.9 * _apart(mean, [truth])
    # and by much better than what the original itself says, who knows them by heart
    assert _apart(q, golds) < 0.7 * _apart(given.original(of_d=True).exp(), golds)


def test_margins_are_distributed_as_a_golds_and_the_means_are_not(world):
    given, twin = world
    gold = torch.stack([quantiles(margin_of(p, given.labels)) for p in given.golds()]).mean(0)
    inner = slice(8, -8)  # two percent at either end

    def off(p: torch.Tensor) -> float:
        return float((quantiles(margin_of(p, given.labels)) - gold)[inner].abs().mean())

    assert off(_targets(given, twin)) < 0.25
    assert off(given.rows(of_d=True).unseen()) > 2 * off(_targets(given, twin))


def test_they_come_out_wrong_about_as_often_as_a_gold(world):
    given, twin = world

    def wrong(p: torch.Tensor) -> float:
        return float((p.argmax(1) != given.labels).float().mean())

    gold = sum(map(wrong, given.golds())) / 3
    assert wrong(_targets(given, twin)) == pytest.approx(gold, abs=0.06)


def test_who_loses_half_of_d_is_left_as_unsure_as_a_network_of_half(world):
    given, twin = world
    whole, half = (_targets(given, twin, torch.full((K + 1,), lost)) for lost in (0.0, 0.5))
    margins = [margin_of(p, given.labels) for p in (whole, half)]
    assert float(margins[0].std()) > 1.15 * float(margins[1].std())
    unseen = given.rows(of_d=True)
    of_half = unseen.margins()[~unseen.seen]
    assert float((quantiles(margins[1]) - quantiles(of_half)).abs().mean()) < 0.3


def test_a_class_that_goes_whole_is_not_foreseen(world):
    given, twin = world
    lost = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.25])
    q = _targets(given, twin, lost)
    assert float(q[given.labels == 0, 0].max()) < 1e-5
    assert torch.allclose(q.sum(1), torch.ones(given.n), atol=1e-5)
    assert float(_targets(given, twin)[given.labels == 0, 0].mean()) > 0.3


@pytest.mark.parametrize("lead", [0.5, 1.5])
def test_a_lead_lowers_the_true_classs_margin_by_so_many_nats(world, lead):
    given, twin = world
    plain, led = _targets(given, twin), _targets(given, twin, lead=lead)
    before, after = (margin_of(p, given.labels) for p in (plain, led))
    free = (before - lead > -13) & (before < 8)
    assert int(free.sum()) > 900
    assert torch.allclose(before[free] - after[free], torch.full((int(free.sum()),), lead), atol=1e-2)
    others = [k for k in range(K) if k != int(given.labels[0])]
    assert float(led[0, others[0]] / led[0, others[1]]) == pytest.approx(
        float(plain[0, others[0]] / plain[0, others[1]]), rel=1e-3
    )


def test_targets_of_one_record_are_a_distribution(world):
    given, twin = world
    rows = given.rows(of_d=True).take(torch.arange(1))
    q = twin.targets(rows, given.original(of_d=True)[:1], NOTHING)
    assert q.shape == (1, K)
    assert float(q.sum()) == pytest.approx(1, abs=1e-5)
    assert torch.isfinite(q).all()


def test_terms_are_of_the_networks_that_never_saw_the_record(world):
    given, _ = world
    rows, original = given.rows(of_d=True), given.original(of_d=True)
    f = terms(rows, original)
    assert f.shape == (given.n, K, len(room.TERMS))
    for i in range(0, given.n, 71):
        unseen = [rows.logp[i, net] for net in range(NETS) if not rows.seen[i, net]]
        assert len(unseen) == 2
        mean = torch.stack(unseen).exp().mean(0).clamp_min(6e-6).log()
        assert torch.allclose(f[i], torch.stack([mean, torch.stack(unseen).mean(0), original[i]], 1), atol=1e-4)
    assert float(terms(rows, original - 50)[:, :, 2].min()) == FLOOR


def test_no_network_is_foreseen_from_itself():
    """Networks that share nothing: whoever leaked into its own terms would be trusted."""
    seen = torch.tensor([[True, False] * 2, [False, True] * 2]).repeat(1000, 1)
    labels, keys = torch.arange(2000) % K, torch.arange(2000)
    alone = ReferenceRows(keys, labels, seen, (2 * _normal(5, 2000, NETS, K)).log_softmax(2))
    nothing = torch.full((2000, K), -math.log(K))
    twin = fit_answers(alone, nothing, Unseen(replace(alone, seen=torch.zeros_like(seen)), nothing))
    assert float(twin.a[:2].abs().max()) < 0.1
    agreed = replace(alone, logp=alone.logp[:, :1].expand(-1, NETS, -1))
    assert float(fit_answers(agreed, nothing, Unseen(agreed, nothing)).a[:2].sum()) > 0.8  # and who agree are trusted


def test_the_original_is_believed_as_far_as_it_foretells_and_no_further(world):
    """What it knows by heart shows in the label's coefficient: it is held against it."""
    _, twin = world
    assert float(twin.a[2]) > 0.1
    assert float(twin.b) < -0.5


RATES = (Rate(10, 0.01, 0.0), Rate(100, 0.04, 0.6), Rate(1000, 0.02, 1.0))


@pytest.fixture
def rated(world) -> ReferenceTwin:
    return replace(world[1], rates=RATES)


@pytest.mark.parametrize(
    ("records", "like", "lead"),
    [
        (10, 10, 0.0),
        (100, 100, 0.6),
        (1000, 1000, 1.0),
        (1, 10, 0.0),  # smaller and larger ones than any: as the nearest
        (50000, 1000, 1.0),
    ],
)
def test_a_rate_is_as_many_times_the_usual_as_that_of_the_nearest_size(rated, records, like, lead):
    found = rated.rate(records)
    chosen = next(rate for rate in RATES if rate.records == like)
    times = chosen.lr / usual_rate(like, 1.0)
    assert (found.records, found.lead) == (records, pytest.approx(lead))
    assert found.lr == pytest.approx(times * usual_rate(records, 1.0))


def test_between_two_sizes_it_lies_between_by_the_logarithm(rated):
    low, high = (rate.lr / usual_rate(rate.records, 1.0) for rate in RATES[:2])
    found = rated.rate(32)
    at = math.log(3.2) / math.log(10)
    assert found.lr / usual_rate(32, 1.0) == pytest.approx(low ** (1 - at) * high**at)
    assert found.lead == pytest.approx(0.6 * at)


def test_one_rate_serves_all_sizes_by_the_usual_law(world):
    twin = replace(world[1], rates=RATES[1:2])
    assert {round(twin.rate(n).lr / usual_rate(n, 1.0), 9) for n in (1, 100, 9999)} == {
        round(0.04 / usual_rate(100, 1.0), 9)
    }


def test_the_usual_rate_grows_with_the_set_to_half_of_the_recipes():
    assert usual_rate(30, 0.1) == pytest.approx(0.01)
    assert usual_rate(300, 0.1) == pytest.approx(0.01 * 10**0.44)
    assert usual_rate(10**6, 0.1) == pytest.approx(0.05)


@pytest.mark.parametrize("records", [1, 2, 7, 30, 48, 190, 200, 800, 5000, 100_000])
def test_a_plan_takes_half_of_a_small_set_in_a_batch_and_at_most_a_hundred_batches(rated, records):
    plan = rated.plan(records)
    assert 24 <= plan.batches <= 100
    assert plan.forget == min(max(1, records // 2), 96)
    assert 32 <= plan.replay <= 96 and plan.replay >= plan.forget
    assert plan.batches * plan.forget >= min(4 * records, 90 * 96)
    assert plan.draws == plan.batches * plan.replay
    assert (plan.lr, plan.lead) == (rated.rate(records).lr, rated.rate(records).lead)


def test_what_a_step_visits_does_not_grow_with_d_and_is_bounded(rated):
    visits = [plan.batches * (plan.forget + plan.replay) for plan in map(rated.plan, (30, 800, 10**4, 10**6))]
    assert visits == sorted(visits)
    assert visits[-1] == visits[-2] == 100 * 192


def test_acquaintance_is_taken_out_of_the_originals_margins(world):
    """The original and half of the networks know the people of the hold-out: a gold does not."""
    train, holdout = World(N, 1), World(N, 2)
    rows, original = holdout.rows(of_d=False), holdout.original(of_d=False)
    known = torch.zeros(N, NETS, dtype=torch.bool)
    known[:, ::2] = True
    told, answers = _surer(rows.logp, rows.labels, known), _surer(original[:, None], rows.labels, known[:, :1])[:, 0]
    surer = replace(rows, logp=told)
    naive = fit_answers(train.rows(of_d=True), train.original(of_d=True), Unseen(surer, answers))
    fitted = fit_answers(train.rows(of_d=True), train.original(of_d=True), Unseen(surer, answers, known))
    honest = world[1].margins.gold
    off = (fitted.margins.gold - honest).abs().median(dim=1).values
    assert (off < 0.5).all()
    assert float((naive.margins.gold[0] - honest[0]).median()) > 3  # as if everybody knew everybody


def test_a_few_acquaintances_show_nothing():
    train, holdout = World(N, 1), World(N, 2)
    few = torch.zeros(N, NETS, dtype=torch.bool)
    few[:20, ::2] = True
    unseen = Unseen(holdout.rows(of_d=False), holdout.original(of_d=False))
    given = train.rows(of_d=True), train.original(of_d=True)
    some, none = (fit_answers(*given, replace(unseen, acquainted=which)).margins for which in (few, None))
    assert torch.equal(some.gold, none.gold)


def _surer(logp: torch.Tensor, labels: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (N, M, K) with four nats more on the true class where the person is known (N, M)."""
    lifted = logp.clone()
    lifted.scatter_add_(2, labels[:, None, None].expand(-1, logp.shape[1], 1), 4.0 * known.float()[:, :, None])
    return lifted.log_softmax(2)
