"""The forms as Prefect's page gets them: titles, descriptions, limits; and the plan above the approval's."""

import pytest
from prefect.utilities.schema_tools import is_valid_schema, validate

from flows.approval import plan_markdown
from flows.delete_request import delete_request_flow
from infra.bootstrapping.form import form_of

KEY, HASH = "0123456789abcdef" * 2, "a" * 64
GOOD = {"request": "case-1", "requested_by": "support-1", "people": [KEY]}
COST = {"visits": 2092, "seconds": None, "measured": False}
BODY = {
    "n_records": 65,
    "by_split": {"train": 34, "test": 17, "holdout": 14},
    "by_class": {"0": 4, "1": 0, "7": 30},
    "shards": [3],
    "warnings": ["Class 7 loses a third of its records."],
    "choice": {
        "method": "retrain",
        "reason": "Retraining is cheaper.",
        "forecast": {"retrain": COST, "tmu-soft": {"visits": 9, "seconds": 8.66, "measured": True}},
    },
}


def test_every_field_has_its_title_and_description() -> None:
    form = form_of(delete_request_flow)
    assert is_valid_schema(form) is None
    fields = form["properties"]
    assert "home" not in fields and form["required"] == ["request", "requested_by"]
    assert all(each["title"][0].isupper() and len(each["description"]) > 20 for each in fields.values())
    assert sorted(fields, key=lambda name: fields[name]["position"])[-2:] == ["lane", "method"]


@pytest.mark.parametrize(
    "bad",
    [
        {"people": ["contributor-007"]},
        {"people": [KEY] * 101},
        {"records": [KEY.upper()]},
        {"requested_by": "a@b.example"},
        {"request": "a b"},
        {"method": "magic"},
        {"lane": "at once"},
        {"subjects": ["contributor-007"]},
        {"home": "/somewhere"},
        {"request": "case-1\n"},
        {"people": [f"{KEY}\n"]},
    ],
)
def test_the_server_refuses_what_the_form_does_not_allow(bad: dict) -> None:
    form = form_of(delete_request_flow)
    assert not list(validate(GOOD, form))
    assert len(list(validate(GOOD | bad, form))) == 1


def test_a_parameter_without_words_stays_as_it_is() -> None:
    from prefect import flow

    @flow
    def bare(number: int, home: str = "") -> None: ...

    assert form_of(bare)["properties"] == {"number": {"title": "number", "type": "integer", "position": 0}}


def test_the_plan_and_the_way_to_a_code_stand_above_the_approval() -> None:
    shown = {"hash": HASH, "body": BODY, "due": "2026-12-22T20:26:36+00:00", "requester": "support-1"}
    text = plan_markdown("case-1", shown, "http://127.0.0.1:8080")
    lines = text.splitlines()
    assert "| records to erase | 65 in 1 shard |" in lines
    assert "| forecast: retrain | 2,092 record visits |" in lines and "| forecast: tmu-soft | 8.7 s |" in lines
    assert "- Records: 34 train (4 of `0`, 30 of `7`), 17 test, 14 holdout." in lines
    assert f"- {BODY['warnings'][0]}" in lines
    assert "| to be answered by | 2026-12-22 |" in lines
    assert "curl $API/requests/case-1/approval-code \\" in lines and f'  -d \'{{"plan_hash": "{HASH}"}}\'' in lines
