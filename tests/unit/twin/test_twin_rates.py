"""Rate and lead by twin problems: the choice on planted objectives, who judges whom, and what the report says."""

import json
import math
from dataclasses import replace

import pytest
import torch

from tests.synthetic import MEMORISE, SEEDS, same_weights, tiny_net, weights_of
from tmu.steps.problem_visits import visits_of_problems
from tmu.train import fit, logits_of
from tmu.twin import rates
from tmu.twin.rates import FACTORS, Bench, Trial, TwinProblems, fit_reference_twin
from tmu.twin.reference_twin import Rate, ReferenceTwin, usual_rate

PEAK = MEMORISE.lr


@pytest.fixture(scope="module")
def problems(solved, referred) -> TwinProblems:
    parts = (solved.train, referred.rows, referred.subjects, solved.holdout, referred.holdout_rows)
    return TwinProblems(solved.original, *parts, MEMORISE, SEEDS, fit)


@pytest.fixture
def planted(monkeypatch, problems, referred):
    """A bench whose trials are answered by a formula: (AD, Δp_f, Δp_r, Δp_h) of a rate."""

    def plant(answer) -> Bench:
        monkeypatch.setattr(Bench, "compared", lambda bench, mask, rate, number, sets: answer(rate))
        nothing = torch.zeros(240, 3)
        return Bench(problems, referred.twin, nothing, nothing)

    return plant


SETS = [torch.arange(240) < 8, (torch.arange(240) >= 8) & (torch.arange(240) < 12)]


USUAL = usual_rate(6, PEAK)


def _valley(best: float, forget: float = 0.0):
    """Distance grows with the logarithm of the factor on both sides of the best one."""
    return lambda rate: (0.1 + 0.05 * abs(math.log(rate.lr / (best * USUAL))), forget, 0.0, 0.0)


@pytest.mark.parametrize("best", [1.0, *FACTORS])
def test_the_best_of_three_rates_is_chosen(planted, best):
    bench = planted(_valley(best))
    rate = bench.choose(SETS)
    assert (rate.lr, rate.lead, rate.records) == (pytest.approx(best * USUAL), 0.0, 6)
    assert [trial.lr / USUAL for trial in bench.trials] == pytest.approx([1.0, *FACTORS])


def test_the_usual_rate_stays_where_another_is_hardly_better(planted):
    bench = planted(lambda rate: (0.1 - 0.002 * (rate.lr > USUAL), 0.0, 0.0, 0.0))
    assert bench.choose(SETS).lr == pytest.approx(USUAL)


@pytest.mark.parametrize(
    ("slope", "lead"), [(16.0, 0.5), (8.0, 1.0), (2.0, 1.0), (0.0, 0.0), (-4.0, 0.0)],
    ids=["the first will do", "the whole", "no further than", "none helps", "the wrong way"],
)  # fmt: skip
def test_a_lead_that_brings_the_lag_to_nothing_is_found(planted, slope, lead):
    """The lag of 8 points falls by so many with each nat."""
    bench = planted(lambda rate: (_valley(1.0)(rate)[0], 8 - slope * rate.lead, 0.0, 0.0))
    rate = bench.choose(SETS)
    assert rate.lr == pytest.approx(USUAL)
    assert rate.lead == pytest.approx(lead)


def test_no_lead_where_the_step_is_ahead_already(planted):
    bench = planted(lambda rate: (_valley(1.0)(rate)[0], -3.0 - rate.lead, 0.0, 0.0))
    assert bench.choose(SETS).lead == 0.0
    assert {trial.lead for trial in bench.trials} == {0.0}


def test_a_lead_that_costs_more_than_it_brings_is_not_taken(planted):
    bench = planted(lambda rate: (_valley(1.0)(rate)[0] + 0.1 * rate.lead, 8 - 8 * rate.lead, 0.0, 0.0))
    assert bench.choose(SETS).lead == 0.0
    assert {trial.lead for trial in bench.trials} == {0.0, 0.5}


@pytest.mark.parametrize(("trial", "score"), [((0.1, 3.0, 0.0, 0.0), 6.5), ((0.1, -3.0, 1.5, -1.5), 7.25)])
def test_the_score_is_the_documented_one(trial, score):
    assert Trial(9, 0.1, 0.0, *trial).score() == pytest.approx(score)


def test_a_trial_is_the_mean_over_its_forget_sets(planted):
    bench = planted(lambda rate: (0.0,) * 4)
    answers, asked = [(0.1, 2.0, -1.0, 0.5), (0.3, 4.0, 0.0, -0.5)], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bench, "compared", lambda *given: asked.append(given[3:]) or answers[given[3]])
        trial = bench.tried(SETS, Rate(6, 0.01, 0.2))
    assert trial == Trial(6, 0.01, 0.2, pytest.approx(0.2), pytest.approx(3.0), pytest.approx(-0.5), pytest.approx(0.0))
    assert bench.trials == [trial]
    assert asked == [(0, 2), (1, 2)]


def test_forget_sets_are_whole_people_and_grow(problems, referred, planted):
    sets = planted(lambda rate: (0.0,) * 4).forget_sets()
    assert len(sets[0]) == rates._PEOPLE
    for group in sets:
        for mask in group:
            people = set(referred.subjects[mask].tolist())
            assert int(mask.sum()) == 4 * len(people)  # each has four records here
    sizes = [sum(int(mask.sum()) for mask in group) / len(group) for group in sets]
    assert sizes == [4, 12]  # one person; a twentieth; a hundredth is no more than a person
    assert not set(referred.subjects[sets[1][0]].tolist()) & {
        int(person) for mask in sets[0] for person in referred.subjects[mask]
    }


def test_forget_sets_follow_people_and_seed_and_no_order(problems, referred, planted):
    bench = planted(lambda rate: (0.0,) * 4)
    turned = torch.randperm(240, generator=torch.Generator().manual_seed(1))
    moved = replace(bench, problems=replace(problems, subjects=referred.subjects[turned]))
    for group, again in zip(bench.forget_sets(), moved.forget_sets(), strict=True):
        assert [mask[turned].tolist() for mask in group] == [mask.tolist() for mask in again]
    other = replace(bench, problems=replace(problems, seeds=SEEDS.model_copy(update={"unlearn": 77})))
    assert [mask.tolist() for mask in other.forget_sets()[0]] != [mask.tolist() for mask in bench.forget_sets()[0]]


@pytest.fixture(scope="module")
def chosen(solved, referred, problems):
    """(twin, report, the rows that each target was foreseen from, trainings, torch's generator before and after)"""
    asked, trained, real = [], [], ReferenceTwin.targets

    def watch(twin, rows, original, lost, lead=0.0):
        asked.append((rows, lead))
        return real(twin, rows, original, lost, lead)

    def watched_fit(model, examples, recipe, seeds, **hooks):
        trained.append((weights_of(model), examples, recipe))
        return fit(model, examples, recipe, seeds, **hooks)

    before, known = torch.get_rng_state(), weights_of(solved.original)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ReferenceTwin, "targets", watch)
        twin, report = fit_reference_twin(replace(problems, fit=watched_fit))
    assert same_weights(known, weights_of(solved.original))
    return twin, report, asked, trained, (before, torch.get_rng_state())


def test_rates_for_each_size_are_among_those_that_were_tried(chosen):
    twin, report, *_ = chosen
    assert [rate.records for rate in twin.rates] == [4, 12]
    for rate in twin.rates:
        mine = [Trial(**trial) for trial in report["trials"]["all"] if trial["records"] == rate.records]
        usual = usual_rate(rate.records, PEAK)
        assert sorted({trial.lr / usual for trial in mine}) == pytest.approx([0.5, 1.0, 2.0])
        plain, led = ([t for t in mine if t.lr == rate.lr and t.lead == lead] for lead in (0.0, 0.5))
        assert len(plain) == 1 and len(led) == (plain[0].forget > 0)  # a lead is tried where the step lags
        assert 0 <= rate.lead <= (1.0 if led else 0.0)
        if rate.lead:
            foreseen = plain[0].towards(led[0], rate.lead)
            assert foreseen.score() < plain[0].score()
            assert foreseen.forget > -1e-6  # no further than to where the lag is gone


def test_coefficients_are_those_of_the_whole_table(chosen, referred):
    assert torch.equal(chosen[0].a, referred.twin.a)
    assert torch.equal(chosen[0].margins.foreseen, referred.twin.margins.foreseen)


def test_targets_are_foreseen_without_the_pair_that_judges(chosen, referred):
    _, report, asked, *_ = chosen
    assert len(asked) == sum(4 if trial["records"] == 4 else 1 for trial in report["trials"]["all"])
    for rows, _ in asked:
        assert rows.nets == referred.rows.nets - 2
        mine = referred.rows.aligned(rows.keys)
        assert torch.equal(rows.logp, mine.logp[:, :2])
        assert not torch.equal(rows.logp, mine.logp[:, 2:])


def test_every_trial_starts_from_the_original_and_forgets_what_is_not_replayed(chosen, solved):
    *_, trained, _ = chosen
    known = weights_of(solved.original)
    for start, examples, recipe in trained:
        assert same_weights(start, known)
        assert len(examples) == 240 == len(set(examples.keys.tolist()))
        rates_tried = [factor * usual_rate(size, PEAK) for factor in (1.0, *FACTORS) for size in (4, 12)]
        assert recipe.lr in [pytest.approx(rate) for rate in rates_tried]


def test_the_judge_of_a_record_is_the_network_that_never_saw_it(problems, referred):
    bench = Bench(problems, referred.twin, torch.zeros(240, 3), torch.zeros(240, 3))
    judged, rows = bench.judged(referred.rows, [2, 3]), referred.rows
    for i in range(0, 240, 13):
        net = 2 if not rows.seen[i, 2] else 3
        assert not rows.seen[i, net]
        others = [k for k in range(3) if k != int(rows.labels[i])]
        p = rows.logp[i, net].exp()
        assert float(judged[i, others[0]] / judged[i, others[1]]) == pytest.approx(
            float(p[others[0]] / p[others[1]]), rel=1e-2
        )
    assert torch.allclose(judged.sum(1), torch.ones(240), atol=1e-5)


def test_who_stays_and_the_hold_out_are_watched_by_other_records_for_each_set(problems, solved, monkeypatch):
    own, held = (logits_of(solved.original, part.images).log_softmax(1) for part in (solved.train, solved.holdout))
    bench, stays = Bench(problems, None, own, held), torch.arange(240) >= 40
    assert bench.watched(solved.original, stays, 0, 1) == pytest.approx((0.0, 0.0), abs=1e-3)
    assert max(map(abs, bench.watched(tiny_net(9), stays, 0, 1))) > 10
    monkeypatch.setattr(rates, "_WATCHED", 80)
    seen = []
    monkeypatch.setattr(
        rates, "logits_of", lambda model, images, **_: seen.append(images) or torch.zeros(len(images), 3)
    )
    for number in range(2):
        bench.watched(solved.original, stays, number, 2)
    of_train, of_holdout = seen[::2], seen[1::2]
    for first, second in (of_train, of_holdout):
        assert 30 <= len(first) <= 60
        assert not {bytes(image.numpy()) for image in first} & {bytes(image.numpy()) for image in second}
    forgotten = {bytes(image.numpy()) for image in solved.train.images[:40]}
    assert not forgotten & {bytes(image.numpy()) for images in of_train for image in images}


def test_the_report_is_json_and_holds_no_record(chosen, solved):
    _, report, *_ = chosen
    text = json.dumps(report)
    assert report["trials"]["number"] == len(report["trials"]["all"]) == text.count('"distance"')
    assert set(report["foreseen from"]) == {"mean", "mean of logs", "original", "label"}
    assert list(report["peak rate"]) == ["4 records", "12 records"]
    assert not any(str(int(key)) in text for key in solved.train.keys)


def test_torchs_generator_stays_as_it_was(chosen):
    before, after = chosen[4]
    assert torch.equal(before, after)


def test_a_fit_takes_no_more_record_visits_than_a_plan_foresees(problems, monkeypatch):
    """Steps are counted and left out; every trial that is possible is made, since each falls short of its gold."""
    plans = []
    monkeypatch.setattr(rates, "take_step", lambda model, case, targets, plan: plans.append(plan))
    fit_reference_twin(problems)
    batches = sum(plan.batches * (plan.forget + plan.replay) for plan in plans)
    watched = 2 * 6 * (len(problems.train) + len(problems.holdout)) // 3
    assert batches <= visits_of_problems(len(problems.train), len(problems.holdout), 4) <= 2 * (batches + watched)
