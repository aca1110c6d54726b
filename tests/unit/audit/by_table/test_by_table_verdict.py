"""The verdict without golds: each fault is convicted, an honest retrain passes, and what cannot be told is said so."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.audit.by_table.simulated import CLASSES, World, same_model, with_inner, with_logits
from tmu.audit.by_table import TableAudit, TableCase, audit_by_table
from tmu.errors import DataError, ModelError

KNOWABLE = World(alike=2.0, lift=6.0)  # no model can guess the person, and one that learned it knows it by heart
UNTELLABLE = World(alike=0.3, lift=0.02)  # learning the person hardly changes an answer


def _rules(audit: TableAudit) -> dict[str, str]:
    return audit.data["rules"]


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def honest(world: World) -> TableCase:
    return world.case(10, 30)


def test_an_honest_retrain_passes_and_the_sentence_states_the_power(honest: TableCase) -> None:
    audit = audit_by_table(honest)
    assert audit.verdict.outcome == "passed"
    assert _rules(audit)["membership"] == "passed"
    assert "convicts the untouched model" in audit.sentence
    assert audit.data["membership"]["power"]["convicted"]


def test_doing_nothing_is_convicted(honest: TableCase) -> None:
    audit = audit_by_table(replace(same_model(honest), weights_changed=False))
    assert audit.verdict.outcome == "failed"
    assert (_rules(audit)["weights"], _rules(audit)["membership"]) == ("failed", "failed")
    assert audit.outer.left == pytest.approx(1.0)


def test_a_step_that_moved_batch_norm_alone_is_convicted(honest: TableCase) -> None:
    audit = audit_by_table(replace(same_model(honest), parameters_moved=0.0))
    assert _rules(audit)["weights"] == "failed"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_half_of_the_excess_left_is_convicted_where_the_original_is(seed: int) -> None:
    audit = audit_by_table(World(seed).case(10, 30, left=0.5))
    assert _rules(audit)["membership"] == "failed"
    assert audit.data["membership"]["power"]["share"] < 0.5


def test_a_change_of_the_head_alone_is_convicted_by_fresh_heads(honest: TableCase) -> None:
    body = audit_by_table(with_inner(honest, "original"))
    assert (_rules(body)["membership"], _rules(body)["inner layers"]) == ("passed", "failed")
    assert body.verdict.outcome == "failed"
    whole = audit_by_table(with_inner(honest, "unlearned"))
    assert _rules(whole)["inner layers"] == "passed"
    assert whole.verdict.outcome == "passed"


def test_records_that_stand_out_by_low_confidence_are_convicted(honest: TableCase) -> None:
    labels = honest.forget.labels

    def unsure(logits: np.ndarray) -> np.ndarray:
        logits[np.arange(len(labels)), labels] -= 6.0
        return logits

    audit = audit_by_table(replace(honest, forget=with_logits(honest.forget, unsure)))
    assert _rules(audit)["membership"] == "failed"
    assert "Streisand" in " ".join(audit.verdict.reasons)


def test_a_gold_that_lost_a_whole_cluster_is_not_called_conspicuous(honest: TableCase) -> None:
    """Less sure than references, half of which kept what is alike; but by less than the original was too sure."""
    labels = honest.forget.labels

    def less_sure(logits: np.ndarray) -> np.ndarray:
        logits[np.arange(len(labels)), labels] -= 0.4
        return logits

    audit = audit_by_table(replace(honest, forget=with_logits(honest.forget, less_sure)))
    own = audit.outer.request["unlearned"]
    assert own.evidence[0] < 0
    assert _rules(audit)["membership"] == "passed"


def test_a_model_that_lost_its_use_fails_and_names_what(honest: TableCase) -> None:
    labels = honest.test.labels
    one_class = labels == 2

    def blind(logits: np.ndarray) -> np.ndarray:
        logits[one_class, 2] = -20.0
        return logits

    audit = audit_by_table(replace(honest, test=with_logits(honest.test, blind)))
    assert (_rules(audit)["utility"], _rules(audit)["classes"]) == ("failed", "failed")
    assert "class 2" in " ".join(audit.verdict.reasons)


def test_a_class_that_goes_as_a_whole_may_collapse(honest: TableCase) -> None:
    one_class = honest.test.labels == 2
    stays, goes = (np.flatnonzero(part.labels != 2) for part in (honest.retain, honest.forget))
    only = np.setdiff1d(np.arange(len(honest.forget)), goes)

    def blind(logits: np.ndarray) -> np.ndarray:
        logits[one_class, 2] = -20.0
        return logits

    gone = replace(
        honest,
        forget=honest.forget.take(only),
        retain=honest.retain.take(stays),
        test=with_logits(honest.test, blind),
    )
    audit = audit_by_table(gone)
    assert (_rules(audit)["utility"], _rules(audit)["classes"]) == ("passed", "passed")
    assert 2 not in audit.utility.classes
    assert len(audit.utility.classes) == CLASSES - 1


def test_people_who_stay_may_not_pay(honest: TableCase) -> None:
    def forgotten(logits: np.ndarray) -> np.ndarray:
        wrong = np.arange(len(logits)) % 20 == 0
        logits[wrong] = -logits[wrong]
        return logits

    audit = audit_by_table(replace(honest, retain=with_logits(honest.retain, forgotten)))
    assert _rules(audit)["people who stay"] == "failed"


def test_a_person_whom_no_model_could_guess_is_convicted_without_doubt() -> None:
    nothing = audit_by_table(same_model(KNOWABLE.case(1, 10)))
    assert _rules(nothing)["membership"] == "failed"
    gold = audit_by_table(KNOWABLE.case(1, 10))
    assert gold.verdict.outcome == "passed"
    assert gold.data["membership"]["null"]["alike_in_a_person"] > 0.1


def test_a_person_whom_nobody_could_tell_is_inconclusive_and_the_effect_that_would_show_is_named() -> None:
    audit = audit_by_table(same_model(UNTELLABLE.case(1, 30)))
    assert _rules(audit)["membership"] == "inconclusive"
    assert audit.verdict.outcome == "inconclusive"
    assert audit.sentence.startswith("This audit can tell nothing on the 30 records")
    assert f"{audit.data['membership']['power']['smallest']:.1f} nats" in audit.sentence


def test_one_record_is_never_called_forgotten(world: World) -> None:
    audit = audit_by_table(world.case(1, 1))
    assert _rules(audit)["membership"] == "inconclusive"
    assert audit.verdict.outcome == "inconclusive"


def test_one_pair_of_references_still_convicts_many_records(world: World) -> None:
    one = replace(world, pairs=1)
    assert _rules(audit_by_table(same_model(one.case(20, 30))))["membership"] == "failed"
    gold = audit_by_table(one.case(20, 30))
    assert _rules(gold)["membership"] == "passed"
    assert _rules(gold)["distance"] == "inconclusive"  # two networks have no floor


def test_too_few_test_records_make_the_verdict_inconclusive(honest: TableCase) -> None:
    few, labels = honest.test.take(np.arange(100)), honest.test.labels[:100]

    def wrong_on(logits: np.ndarray, rows: slice) -> np.ndarray:
        logits = logits.copy()
        logits[np.arange(100)[rows], labels[rows]] = -20.0
        return logits

    logits = {
        "original": wrong_on(few.logits["original"], slice(0, 20)),
        "unlearned": wrong_on(few.logits["unlearned"], slice(20, 40)),
    }
    audit = audit_by_table(replace(honest, test=replace(few, logits=logits)))
    assert _rules(audit)["utility"] == "inconclusive"
    assert audit.verdict.outcome != "passed"
    with pytest.raises(DataError, match="never-seen"):
        replace(honest, test=honest.test.take(np.arange(50)))


def test_outputs_that_do_not_fit_are_refused(honest: TableCase) -> None:
    part = honest.forget
    with pytest.raises(DataError, match="do not fit"):
        replace(part, logits={**part.logits, "unlearned": part.logits["unlearned"][1:]})
    with pytest.raises(ModelError, match="not all numbers"):
        with_logits(part, lambda logits: logits * np.nan)


def test_the_numbers_read_like_those_of_every_audit(honest: TableCase) -> None:
    import json

    from tmu.audit import render

    data = audit_by_table(honest).data
    result = json.loads(json.dumps(data))["result"]
    assert [row["name"] for row in result["rows"]] == ["original", "unlearned"]
    assert result["golds"] == []
    assert "references: 4 pairs" in render.caption(result)
    for row in result["rows"]:
        assert set(row["metrics"]) == {metric["name"] for metric in result["metrics"]}
