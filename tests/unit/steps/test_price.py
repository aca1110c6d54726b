"""What a request took, in seconds and shares of a retraining."""

from types import SimpleNamespace
from typing import Any

import pytest

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
