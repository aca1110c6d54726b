"""The bench's variants: without a switch the product's method bit for bit; each switch takes its part out."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from bench.variants import get_method, needs_twin, read_options, variant_names
from bench.variants import tmu_soft_ablation as ablation
from tests.synthetic import CLASSES, same_weights, weights_of
from tmu.errors import ConfigError
from tmu.train import fit, logits_of
from tmu.train.examples import as_probabilities
from tmu.twin.target import TERMS, terms_of
from tmu.unlearn import method_names
from tmu.unlearn import tmu_soft as soft
from tmu.unlearn.calibration import calibrate, expected_margins

NAME = "tmu-soft-ablation"


def _options(**given) -> ablation.Options:
    return read_options(NAME, {"steps": 8, **given})


def _run(make_problem, **options):
    """(outcome, the one set that the engine was given)."""
    seen = []

    def watch(model, examples, recipe, seeds, **hooks):
        seen.append(examples)
        return fit(model, examples, recipe, seeds, **hooks)

    outcome = ablation.unlearn(make_problem(fit=watch), _options(**options))
    (taught,) = seen
    return outcome, taught


def _targets(make_problem, **options) -> torch.Tensor:
    return ablation.predicted_targets(make_problem(), _options(**options))


def test_variants_are_found_by_their_files_and_are_no_methods_of_the_product():
    assert NAME in variant_names()
    assert not set(variant_names()) & set(method_names())
    assert get_method(NAME) is ablation and get_method("tmu-soft") is soft
    assert needs_twin(NAME) and not needs_twin("finetune")
    with pytest.raises(ConfigError, match="There is no method `nothing`"):
        get_method("nothing")
    with pytest.raises(ConfigError, match="`tmu-soft-ablation`, option `without`"):
        read_options(NAME, {"without": "gold"})


@pytest.mark.parametrize("n", [6, 48])
def test_without_a_switch_the_weights_are_the_products_bit_for_bit(make_problem, solved, n):
    """So the ablation rows are measured against the method that the product runs."""
    some = torch.arange(240) < n
    labels = torch.where(torch.arange(240) > 200, (solved.train.labels + 1) % CLASSES, solved.train.labels)
    train = replace(solved.train, labels=labels)  # some labels that the original gets wrong: the balance has a say
    make = partial(make_problem, forget=train.take(some), retain=train.take(~some))
    mine = ablation.unlearn(make(), _options())
    its = soft.unlearn(make(), soft.Options(steps=8))
    assert same_weights(weights_of(mine.model), weights_of(its.model))
    assert mine.notes == its.notes
    assert (n == 48) == (its.notes["answers_where_wrong"] == 0)
    other = ablation.unlearn(make(), _options(calibrated=False))
    assert not same_weights(weights_of(other.model), weights_of(its.model))


def test_hard_labels_are_the_targets_first_choices(make_problem):
    outcome, taught = _run(make_problem, labels="hard")
    q = _targets(make_problem)
    assert torch.equal(taught.targets[:48], as_probabilities(q.argmax(1), CLASSES))
    wrong = q.argmax(1) != make_problem().forget.labels
    assert 0 < int(wrong.sum()) < 48
    assert outcome.notes["mean_p_wrong"] != pytest.approx(float(wrong.float().mean()), abs=1e-4)  # still the soft one's


def test_fitting_anew_gives_the_twins_own_target_model_back(make_problem, solved):
    """The same sides and goals as when the twin was fitted: with no term left out the coefficients are the twin's."""
    again, own = ablation.fitted_without(make_problem(), ""), solved.twin.targets
    assert torch.allclose(again.a, own.a, atol=1e-3) and torch.allclose(again.b, own.b, atol=1e-3)
    assert torch.allclose(again.margins.shift, own.margins.shift, atol=1e-2)


@pytest.mark.parametrize("name", TERMS)
def test_a_term_left_out_has_no_coefficient_and_the_others_take_over(make_problem, solved, name):
    place = TERMS.index(name)
    found = ablation.fitted_without(make_problem(), name)
    others = torch.arange(len(TERMS)) != place
    assert float(found.a[place]) == 0 and (found.a[others] != 0).all()
    assert float((found.a - solved.twin.targets.a)[others].abs().max()) > 1e-3  # fitted anew, not cut
    q, whole = _targets(make_problem, without=name), _targets(make_problem)
    assert q.sum(1).tolist() == pytest.approx([1.0] * 48, abs=1e-5)
    assert not torch.allclose(q, whole, atol=1e-4)


def test_without_the_unseen_term_the_unseen_outputs_have_no_say_at_all(make_problem, solved):
    problem = make_problem()
    side = problem.twin.side(problem.model, problem.forget, problem.retain, "cpu")
    model = ablation.fitted_without(problem, "unseen")
    expected = model.probabilities(replace(side, unseen=None), lost=soft.shares_lost(problem))
    assert torch.allclose(_targets(make_problem, without="unseen"), expected, atol=1e-6)
    assert (terms_of(replace(side, unseen=None))[:, :, TERMS.index("unseen")] == 0).all()


@pytest.mark.parametrize("matched", [True, False])
def test_the_envelope_is_the_lower_of_mean_and_quantile(make_problem, matched):
    labels = make_problem().forget.labels
    mean, quantile, envelope = (
        _targets(make_problem, sharpness=name, matched=matched).gather(1, labels[:, None])[:, 0]
        for name in ("mean", "quantile", "envelope")
    )
    assert (envelope <= quantile + 1e-6).all()
    assert not torch.allclose(mean, quantile, atol=1e-3) and not torch.allclose(envelope, quantile, atol=1e-3)
    if matched:
        assert float(mean.mean()) == pytest.approx(float(quantile.mean()), abs=0.02)


def test_margins_of_the_hold_out_are_those_of_a_side_without_unseen_outputs_in_the_map_alone(make_problem):
    assert not torch.allclose(_targets(make_problem, matched=False), _targets(make_problem), atol=1e-4)


def test_without_the_balance_labels_alone_teach_what_the_original_gets_wrong(make_problem, solved):
    retain = solved.train.take(torch.arange(240) >= 48)
    answers = logits_of(solved.original, retain.images).softmax(1)
    labels = retain.labels.clone()
    labels[:150] = (answers[:150].argmax(1) + 1) % CLASSES
    make = partial(make_problem, retain=replace(retain, labels=labels), forget=solved.train.take(torch.arange(8)))
    outcome, taught = _run(make, balanced=False)
    assert outcome.notes["answers_where_wrong"] == 0
    expected = torch.lerp(as_probabilities(labels, CLASSES), answers, 0.5)
    assert torch.allclose(taught.targets[8:], expected, atol=1e-5)
    assert _run(make)[0].notes["answers_where_wrong"] > 0.1


def test_without_the_calibration_the_model_is_less_sure_than_a_gold(make_problem, solved):
    outcome, _ = _run(make_problem, steps=80, calibrated=False)
    gold = expected_margins(solved.original, solved.twin.cross_fit, solved.holdout, 48 / 240)
    assert abs(calibrate(outcome.model, solved.holdout, gold) - 1) > 0.02
    assert "confidence_factor" not in outcome.notes
