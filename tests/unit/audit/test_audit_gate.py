"""The gate's controls: what must fail fails for its own reason, and an honest retrain passes."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmu.audit.gate import judge
from tmu.audit.outputs import Outputs, Sets
from tmu.audit.table import AuditResult, audit_table
from tmu.config import AuditConfig
from tmu.errors import RequestError

GOLDS = ["gold", "second gold"]


def _verdict(world, model=None, row="tmu", changed=True, config=None, moved=None, body=None):
    """The verdict on a model; `body`: outputs of what its inner layers know, where the last layer says otherwise."""
    models = world.models() if model is None else {**world.models(), row: model}
    probes = world.probes(models | ({row: body} if body else {}))
    result = audit_table(world.sets, models, GOLDS, {}, 0, resamples=200, probes=probes)
    return judge(result, row, config or AuditConfig(), weights_changed=changed, parameters_moved=moved)


def _failures(verdict):
    return [reason for reason in verdict.reasons if reason.startswith("failed: ")]


def _more_noise(outputs, change_logits, name, noise):
    rng = np.random.default_rng(0)
    return change_logits(outputs, name, lambda z: z + rng.normal(0, noise, z.shape))


def test_the_unchanged_original_fails_even_if_called_changed(world):
    for changed in (True, False):
        verdict = _verdict(world, row="original", changed=changed)
        assert not verdict.passed
        assert verdict.conclusive
        assert any("activation distance" in reason and "doing nothing" in reason for reason in _failures(verdict))


def test_a_step_that_changes_next_to_nothing_fails_as_doing_nothing(world, mix):
    gold_like = world.model(5, "retain")
    hair = _verdict(world, mix(world.models()["original"], gold_like, 0.02))
    assert any("doing nothing" in reason for reason in _failures(hair))
    jitter = world.model(1, "forget", "retain")
    for logits in jitter.logits.values():
        logits += np.random.default_rng(3).normal(0, 1e-3, logits.shape).astype(np.float32)
    assert any("doing nothing" in reason for reason in _failures(_verdict(world, jitter)))


def test_a_significant_but_immaterial_gain_fails(world, mix):
    verdict = _verdict(world, mix(world.models()["original"], world.model(5, "retain"), 0.4))
    assert any("less than the 25 % asked for" in reason for reason in _failures(verdict))


def test_honest_retrains_pass_every_rule(world):
    second = _verdict(world, row="second gold")
    held_out = _verdict(world, world.model(11, "retain"))
    for verdict in (second, held_out):
        assert verdict.passed and not _failures(verdict) and len(verdict.reasons) == 7


def test_unchanged_weights_fail_whatever_the_outputs_say(world):
    verdict = _verdict(world, world.model(11, "retain"), changed=False)
    assert not verdict.passed
    assert _failures(verdict) == ["failed: the weights are the original's: nothing was unlearned."]


def test_drifted_batch_statistics_alone_are_no_change_of_the_weights(world):
    honest = world.model(11, "retain")
    drifted = _verdict(world, honest, moved=0.0)
    assert len(_failures(drifted)) == 1 and "only batch normalisation's statistics" in _failures(drifted)[0]
    assert not _failures(_verdict(world, honest, moved=1e-3))
    assert "moved by 0.1 %" in _verdict(world, honest, moved=1e-3).reasons[0]


def test_a_body_that_was_left_alone_fails_whatever_the_last_layer_says(world):
    honest, original = world.model(11, "retain"), world.models()["original"]
    failures = _failures(_verdict(world, honest, body=original))
    assert len(failures) == 1
    assert "inner layers, with fresh heads" in failures[0] and "doing nothing" in failures[0]


def test_without_probes_the_verdict_says_that_nobody_looked_inside(world):
    models = {**world.models(), "tmu": world.model(11, "retain")}
    result = audit_table(world.sets, models, GOLDS, {}, 0, resamples=100)
    verdict = judge(result, "tmu", AuditConfig(), weights_changed=True)
    assert verdict.outcome == "passed"  # a rule that cannot tell neither passes nor fails the model
    assert any(reason.startswith("inconclusive: the inner layers were not probed") for reason in verdict.reasons)


def test_the_limits_are_those_of_the_config(world, mix, change_logits):
    halfway = mix(world.models()["original"], world.model(5, "retain"), 0.4)
    strict = _failures(_verdict(world, halfway))
    assert any("less than the 25 % asked for" in reason for reason in strict)
    lenient = _failures(_verdict(world, halfway, config=AuditConfig(share_closed=0.01)))
    assert not any("asked for" in reason for reason in lenient)
    timid = change_logits(world.model(5, "retain"), "forget", lambda z: z * 0.2)
    assert any("Streisand" in reason for reason in _failures(_verdict(world, timid)))
    assert not any("Streisand" in r for r in _failures(_verdict(world, timid, config=AuditConfig(far_points=60))))


def test_sets_that_were_mixed_up_for_every_model_are_flagged(world):
    models = {**world.models(), "tmu": world.model(11, "retain")}

    def verdict(sets, outputs):
        result = audit_table(sets, outputs, GOLDS, {}, 0, resamples=100)
        return judge(result, "tmu", AuditConfig(), weights_changed=True)

    labels = {**world.sets.labels, "forget": (world.sets.labels["forget"] + 1) % 10}
    wrong_labels = _failures(verdict(Sets(labels), models))
    assert any("though it was trained on both" in reason for reason in wrong_labels)
    turn = {"forget": "forget", "retain": "test", "test": "retain"}
    outputs = {name: Outputs({new: each.logits[old] for new, old in turn.items()}) for name, each in models.items()}
    turned = _failures(verdict(Sets({new: world.sets.labels[old] for new, old in turn.items()}), outputs))
    assert any("the sets are mixed up" in reason for reason in turned)
    assert not any("mixed up" in reason for reason in _failures(verdict(world.sets, models)))


def test_a_single_hard_record_is_no_mix_up(make_world):
    world = make_world(forget=1, retain=100, test=100)
    labels = {**world.sets.labels, "forget": (world.sets.labels["forget"] + 1) % 10}  # the original gets it wrong
    result = audit_table(Sets(labels), world.models(), GOLDS, {}, 0, resamples=100)
    assert result.value("original", "accuracy_forget").value == 0
    assert (
        "know what they were trained on"
        in judge(result, "second gold", AuditConfig(), weights_changed=True).reasons[-1]
    )


def test_over_unlearning_is_flagged_by_ua_and_by_the_streisand_effect(world, change_logits):
    labels = world.sets.labels["forget"]

    def wrong(z):
        z[np.arange(len(labels)), labels] -= 14.0
        return z

    failures = _failures(_verdict(world, change_logits(world.model(5, "retain"), "forget", wrong)))
    assert any("UA" in reason and "over-unlearned" in reason for reason in failures)
    assert any("membership AUC" in reason and "Streisand" in reason for reason in failures)


def test_a_low_confidence_that_keeps_every_label_is_still_the_streisand_effect(world, change_logits):
    timid = change_logits(world.model(5, "retain"), "forget", lambda z: z * 0.2)
    failures = _failures(_verdict(world, timid))
    assert any("Streisand" in reason for reason in failures)
    assert not any("over-unlearned" in reason for reason in failures)


def test_records_still_recognised_as_members_are_flagged(world, change_logits):
    sure = change_logits(world.model(5, "retain"), "forget", lambda z: z * 4)
    failures = _failures(_verdict(world, sure))
    assert any("still recognised as members" in reason for reason in failures)


def test_destroyed_utility_is_flagged_with_its_numbers_and_the_setting_decides(world, change_logits):
    ruined = _more_noise(world.model(5, "retain"), change_logits, "test", 3.0)
    failures = _failures(_verdict(world, ruined))
    assert any("test accuracy" in reason and "weakest gold - 2 points" in reason for reason in failures)
    lenient = _verdict(world, ruined, config=AuditConfig(utility_drop_pct=100.0))
    assert not any("test accuracy" in reason for reason in _failures(lenient))


def test_an_indistinguishable_original_is_said_to_be_so(make_world):
    world = make_world(forget=2, retain=100, test=100)
    verdict = _verdict(world, row="original", changed=True)
    assert verdict.passed
    assert not verdict.conclusive
    assert verdict.outcome == "inconclusive"
    (reason,) = [reason for reason in verdict.reasons if "average gap" in reason]
    assert reason.startswith("inconclusive: the unchanged original is within the noise floor")
    floor = re.search(r"floor ends at ([\d.]+)\)", reason)[1]
    assert f"With 2 forget records, a gap below {floor} points cannot be told" in reason  # what it could have seen
    assert not any("prove" in reason or reason.startswith("pass:") for reason in verdict.reasons)
    assert not _verdict(world, row="original", changed=False).passed


def _result(original, second, method):
    """An audit of hand-made numbers: metric values per row; what is not given is the same for every row."""
    common = {"ua": 5.0, "membership_auc": 50.0, "accuracy_test": 95.0, "distance_gain": 0.0}
    common |= {"accuracy_forget": 99.0, "accuracy_retain": 99.0}

    def row(name, given):
        cells = {metric: given.get(metric, common.get(metric, 0.1)) for metric in (*common, *_MEASURES)}
        half = given.get("half", 0.01)
        cells = {metric: {"value": v, "low": v - half, "high": v + half} for metric, v in cells.items()}
        cells |= {"head_distance": None, "head_distance_gain": None}
        return {"name": name, "seconds": None, "metrics": cells}

    rows = {"original": original, "gold": {}, "second gold": second, "tmu": method}
    return AuditResult(
        {"golds": GOLDS, "records": {"forget": 9}, "rows": [row(name, given) for name, given in rows.items()]}
    )


_MEASURES = ("activation_distance", "average_gap")


@pytest.mark.parametrize(("half", "passes"), [(0.41, False), (0.39, True)])
def test_a_large_gain_counts_only_if_it_is_significant(half, passes):
    method = {"activation_distance": 0.5, "distance_gain": 0.4, "half": half}
    verdict = judge(_result({"activation_distance": 0.9}, {}, method), "tmu", AuditConfig(), weights_changed=True)
    assert verdict.passed == passes
    assert ("not distinguishable from doing nothing" in verdict.reasons[1]) != passes


@pytest.mark.parametrize(("method_gap", "passes"), [(4.0, False), (3.0, True), (1.0, True)])
def test_where_distances_cannot_tell_the_original_the_average_gap_does(method_gap, passes):
    """4 is the original's own gap, 3 is significantly below it, 1 is the floor."""
    result = _result({"average_gap": 4.0}, {"average_gap": 1.0}, {"average_gap": method_gap})
    verdict = judge(result, "tmu", AuditConfig(), weights_changed=True)
    assert verdict.passed == passes
    assert "average gap" in verdict.reasons[1]


@pytest.mark.parametrize(
    ("metric", "value", "word"),
    [
        ("ua", 10.1, "over-unlearned"),
        ("membership_auc", 44.9, "Streisand"),
        ("membership_auc", 55.1, "recognised"),
        ("accuracy_test", 92.9, "weakest gold"),
    ],
)
def test_each_limit_bites_just_beyond_and_not_just_before(metric, value, word):
    middle = {"ua": 5.0, "membership_auc": 50.0, "accuracy_test": 95.0}[metric]
    beyond = judge(_result({}, {}, {metric: value}), "tmu", AuditConfig(), weights_changed=True)
    assert [word in reason for reason in _failures(beyond)] == [True]
    before = judge(
        _result({}, {}, {metric: value + (0.2 if value < middle else -0.2)}), "tmu", AuditConfig(), weights_changed=True
    )
    assert before.passed


def test_a_missing_floor_original_or_row_is_refused(world):
    models = world.models()
    one = audit_table(world.sets, models, ["gold"], {}, 0, resamples=100)
    with pytest.raises(RequestError, match="second gold"):
        judge(one, "original", AuditConfig(), weights_changed=True)
    del models["original"]
    without = audit_table(world.sets, models, GOLDS, {}, 0, resamples=100)
    with pytest.raises(RequestError, match="no row `original`"):
        judge(without, "second gold", AuditConfig(), weights_changed=True)
    both = audit_table(world.sets, world.models(), GOLDS, {}, 0, resamples=100)
    with pytest.raises(RequestError, match="no row `tmu`"):
        judge(both, "tmu", AuditConfig(), weights_changed=True)
    with pytest.raises(RequestError, match="reference"):
        judge(both, "gold", AuditConfig(), weights_changed=True)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10_000), st.sampled_from([1, 3, 40, 150]))
def test_the_second_gold_always_passes_and_the_original_never_where_it_can_be_told(make_world, seed, forget):
    world = make_world(forget=forget, retain=200, test=150, seed=seed)
    result = audit_table(world.sets, world.models(), GOLDS, {}, seed, resamples=100)
    assert judge(result, "second gold", AuditConfig(), weights_changed=True).passed
    distances = [result.value(row, "activation_distance") for row in ("original", "second gold")]
    if distances[0].value > distances[1].high:
        assert not judge(result, "original", AuditConfig(), weights_changed=True).passed


@pytest.mark.parametrize(("half", "outcome"), [(24.9, "passed"), (25.1, "inconclusive")])
def test_intervals_that_allow_nearly_everything_pass_no_rule(half, outcome):
    """A model below chance on a handful of records is not called useful."""
    tiny = {"half": half}
    result = _result(tiny | {"activation_distance": 90.0}, tiny, tiny)
    verdict = judge(result, "tmu", AuditConfig(), weights_changed=True)
    rules = ("over-unlearning", "membership", "utility", "sets")
    assert [reason.partition(":")[0] for reason in verdict.reasons[3:]] == [outcome for _ in rules]
    assert verdict.outcome == outcome
