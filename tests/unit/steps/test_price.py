"""What a request took, in seconds and shares of a retraining."""

from types import SimpleNamespace
from typing import Any

import pytest

from tmu.deletion.plan import Choice
from tmu.errors import StorageError
from tmu.steps import price
from tmu.steps.price import Price

WHOLE = Price(request=0.5, audit=1.5, part=10.0, retraining=50.0, pays_from=5, number=2)


def test_shares_are_per_cent_of_a_retraining() -> None:
    assert WHOLE.shares == pytest.approx({"cost_request_pct": 1, "cost_audit_pct": 3, "cost_references_pct": 20})
    assert Price(request=0.5, retraining=50.0).shares == pytest.approx({"cost_request_pct": 1})
    assert Price(request=0.5).shares == {}


def test_the_sentence_names_each_part() -> None:
    assert WHOLE.sentence == (
        "It took 0.5 s (1.0 % of a retraining) for the model; 1.5 s (3.0 % of a retraining) for its audit; "
        "10 s (20 % of a retraining) as its part of the references; "
        "the references pay for themselves from deletion 5 on, this is 2."
    )
    assert Price(request=12.0).sentence == "It took 12 s for the model."
    slow = WHOLE.model_copy(update={"networks": 60.0, "problems": 140.0}).sentence
    assert "as its part of the references, once 60 s for their networks and 140 s for their twin problems; " in slow


def test_what_references_and_twin_problems_took_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(price, "read_run", lambda _, ref: {"seconds_total": 60.0})
    monkeypatch.setattr(price, "run_record", lambda _, ref: {"seconds_total": 140.0})
    plan = SimpleNamespace(choice=SimpleNamespace(among=20))
    deletion = SimpleNamespace(references="r", twin="t", plan=plan)
    foreseen = {"references": 2.0, "networks": 39.0, "twin problems": 1.0}
    found = price._once(None, deletion, foreseen)
    assert found == {"networks": 60.0, "problems": 140.0, "part": 10.0}
    audit_alone = price._once(None, deletion, {"references": 2.0, "networks": 39.0})  # no twin problems are asked for
    assert audit_alone == {"networks": 60.0, "problems": None, "part": 3.0}

    def gone(*_: Any) -> None:
        raise StorageError("It was purged.", "")

    monkeypatch.setattr(price, "read_run", gone)
    assert price._once(None, deletion, foreseen) == {"networks": 39.0, "problems": 1.0, "part": 2.0}
    assert price._once(None, deletion, foreseen | {"networks": None})["part"] is None


def test_a_plan_of_an_earlier_version_does_not_tell_of_how_many_requests_the_part_is_one(monkeypatch) -> None:
    monkeypatch.setattr(price, "read_run", lambda _, ref: {"seconds_total": 60.0})
    choice = Choice.model_validate({"asked": "tmu-soft", "method": "tmu-soft", "reason": ""})
    deletion = SimpleNamespace(references="r", twin=None, plan=SimpleNamespace(choice=choice))
    found = price._once(None, deletion, {"references": 2.0})
    assert found == {"networks": 60.0, "problems": None, "part": 2.0}  # not all of it


@pytest.mark.parametrize(
    ("retrained", "audits", "took"),
    [(True, [], 9.0), (False, ["golds"], 7.0), (False, ["table"], None), (False, ["old"], None), (False, [], None)],
)
def test_a_retraining_that_was_done_is_what_shares_are_of(monkeypatch, retrained, audits, took) -> None:
    runs: dict[str, dict[str, Any]] = {
        "model": {"seconds_total": 9.0},
        "golds": {"seconds_by_row": {"alone": {"original": 50.0, "gold": 7.0, "second gold": 8.0, "tmu-soft": 0.5}}},
        "table": {"seconds_by_row": {"alone": {"original": 50.0, "tmu-soft": 0.5}}},
        "old": {"seconds_total": 1.0},
    }
    monkeypatch.setattr(price, "run_record", lambda _, ref: runs[ref])
    deletion = SimpleNamespace(retrained=retrained, unlearned="model")
    assert price._took(None, deletion, audits) == took
    assert price._took(None, SimpleNamespace(retrained=True, unlearned=None), []) is None


def test_a_model_that_its_audit_refused_is_paid_too(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: dict[str, dict[str, Any]] = {
        "retrained": {"seconds_total": 9.0},
        "audit": {"seconds_total": 1.0, "seconds_by_row": {"alone": {"original": 50.0, "tmu-soft": 0.5}}},
    }
    monkeypatch.setattr(price, "run_record", lambda _, ref: runs[ref])
    deletion = SimpleNamespace(unlearned="retrained", failed_audit="audit")
    assert price._of_models(None, deletion) == 9.5
    assert price._of_models(None, SimpleNamespace(unlearned="retrained", failed_audit=None)) == 9.0
    assert price._of_models(None, SimpleNamespace(unlearned=None, failed_audit=None)) == 0.0
