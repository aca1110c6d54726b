"""What an approver is told of a plan: a foreseen refusal, the method that will really be used, price, what stays."""

from typing import Any

import pytest

from tmu.steps.plan_facts import DESTROYED, NOT_DESTROYED, OLD_DATA, OLD_MODELS, facts_of

REFUSAL = "the request takes 62 % of the training records of class `7`, more than 50 %"


def cost(visits: int, seconds: float | None = None, measured: bool = False) -> dict[str, Any]:
    return {"visits": visits, "seconds": seconds, "measured": measured}


def plan(**more: Any) -> dict[str, Any]:
    counts = {"by_split": {"train": 34, "test": 17, "holdout": 14}, "by_class": {"0": 4, "1": 0, "7": 30}}
    return {"n_records": 65, "n_train": 34, "shards": [3], "warnings": [], "choice": choice(), **counts, **more}


def choice(method: str = "tmu-soft", forecast: dict | None = None, **risk: Any) -> dict[str, Any]:
    standard = {
        "retrain": cost(2092, 200.0),
        f"{method} alone": cost(9, 2.0, True),
        "audit": cost(60, 6.0),
        "references": cost(400, 40.0),
        method: cost(469, 48.0),
    }
    level = {"level": "low", "audits": 3, "failed": 0, "refusal": None}
    return {
        "method": method,
        "asked": method,
        "reason": f"`{method}` is configured.",
        "forecast": standard if forecast is None else forecast,
        "risk": level | risk,
        "pays_from": 5,
        "deletions": 2,
    }


def test_a_plan_without_risk_says_its_method_and_price() -> None:
    facts = facts_of(plan())
    assert (facts.warnings, facts.risk, facts.likely) == ((), "low", "tmu-soft")
    assert facts.method == "`tmu-soft`. `tmu-soft` is configured."
    assert facts.price == (
        "2.0 s (1.0 % of a retraining) for the request itself; "
        "6.0 s (estimated) (3.0 % of a retraining) for its audit; "
        "40 s (estimated) (20 % of a retraining) as its part of the references, which are there already; "
        "the references pay for themselves from deletion 5 on, and this is number 3"
    )
    assert facts.counts == "34 train (4 of `0`, 30 of `7`), 17 test, 14 holdout."
    assert facts.headline == "Risk low, likely by tmu-soft, 65 records"


def test_a_refusal_that_is_foreseen_is_a_warning_and_makes_retraining_the_likely_method() -> None:
    facts = facts_of(plan(choice=choice(level="high", refusal=REFUSAL)))
    (warning,) = facts.warnings
    assert REFUSAL in warning and "Exact retraining takes over" in warning
    assert (facts.risk, facts.likely, facts.asked) == ("low", "retrain", "tmu-soft")  # it never sees the records
    assert facts.method.startswith("`retrain` (exact retraining), in place of `tmu-soft`")
    assert facts.price == "200 s (estimated) for the retraining"  # not of what will not be used


def test_a_retraining_is_not_refused_by_what_spoke_against_another_method() -> None:
    given = choice("retrain", level="high", refusal=REFUSAL)
    assert facts_of(plan(choice=given)).warnings == (f"The references cannot be used here: {REFUSAL}.",)
    said = given | {"reason": f"The hold-out cannot be used here: {REFUSAL}."}
    assert facts_of(plan(choice=said)).warnings == ()


def test_references_that_have_to_be_fitted_or_never_pay_are_said() -> None:
    given = choice() | {"to_fit": True, "pays_from": None, "notes": ["The references are fitted anew first."]}
    facts = facts_of(plan(choice=given))
    assert "which have still to be fitted; at these prices the references never pay for themselves" in facts.price
    assert facts.warnings == ("The references are fitted anew first.",)


def test_slow_twin_problems_are_named_beside_the_part_that_hides_them() -> None:
    forecast = choice()["forecast"] | {"networks": cost(600, 60.0, True), "twin problems": cost(5000, 740.0, True)}
    given = choice(forecast=forecast) | {"to_fit": True, "problems_to_fit": True, "among": 20}
    once = "60 s (30 % of a retraining) for their networks and 740 s (370 % of a retraining) for their twin problems"
    assert f"which have still to be fitted: {once}, once for 20 requests; " in facts_of(plan(choice=given)).price
    there = facts_of(plan(choice=given | {"to_fit": False})).price
    assert f"which are there already, but for their twin problems: {once}" in there
    all_there = given | {"to_fit": False, "problems_to_fit": False}
    assert f"which are there already: {once}" in facts_of(plan(choice=all_there)).price


def test_without_seconds_the_share_is_of_record_visits() -> None:
    ways = {"retrain": cost(1000), "finetune alone": cost(20), "finetune": cost(20)}
    facts = facts_of(plan(choice=choice("finetune", ways)))
    assert facts.price == "20 record visits (2.0 % of a retraining) for the request itself"


def test_a_method_that_keeps_failing_is_a_warning() -> None:
    facts = facts_of(plan(choice=choice(level="high", failed=2)))
    assert facts.warnings == (
        "`tmu-soft` failed 2 of its last 3 audits here. If it fails again, the retrained model goes into service.",
    )


def test_a_retraining_bears_no_risk_of_the_method_in_whose_place_it_is() -> None:
    facts = facts_of(plan(choice=choice("retrain", level="high", failed=2)))  # as 0.1.0 stored it
    assert (facts.warnings, facts.risk) == ((), "low")


def test_the_warnings_of_the_plan_follow() -> None:
    assert facts_of(plan(warnings=["Class 7 loses a third."])).warnings == ("Class 7 loses a third.",)


def test_a_method_that_was_never_audited_has_an_unknown_risk() -> None:
    assert facts_of(plan(choice=choice(level="unknown", audits=0))).risk == "not known yet"


@pytest.mark.parametrize(
    ("stays", "named"),
    [
        (None, ()),
        ([], ()),
        (["2 identical pictures in train"], ("2 identical pictures in train",)),
    ],
)
def test_what_a_plan_says_will_stay_is_named_before_what_always_stays(stays: Any, named: tuple[str, ...]) -> None:
    more = {} if stays is None else {"stays": stays}
    assert facts_of(plan(**more)).stays == (*named, OLD_MODELS, OLD_DATA)


def test_a_plan_that_purges_says_so_and_names_what_a_rule_keeps() -> None:
    rule = {"role": "gold", "days": 30, "why": "Retrained for the audit."}
    facts = facts_of(plan(purge={"act": True, "keep": [rule]}, stays=["2 identical pictures"]))
    assert facts.purge == DESTROYED
    kept = "models of the role `gold` that learned the records, for 30 days: Retrained for the audit."
    assert facts.stays == ("2 identical pictures", kept)
    put_off = facts_of(plan(purge={"act": False, "keep": [rule]}))
    assert (put_off.purge, put_off.stays) == (NOT_DESTROYED, (OLD_MODELS, OLD_DATA))


def test_records_that_no_model_learned_cost_no_training() -> None:
    nothing = {
        "n_train": 0,
        "by_split": {"test": 3},
        "by_class": {},
        "warnings": ["No model has learned these records."],
    }
    facts = facts_of(plan(**nothing, choice=choice(forecast={}) | {"risk": {}}))
    assert facts.price == "erasing the records from the data; no model is trained"
    assert (facts.risk, facts.stays, facts.counts) == ("none", (OLD_DATA,), "3 test.")
