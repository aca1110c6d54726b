"""The forms as Prefect's page gets them: titles, descriptions, limits; and the plan above the approval's."""

import json
import subprocess
from pathlib import Path

import pytest
from prefect.utilities.schema_tools import is_valid_schema, validate

from flows.approval import plan_markdown
from flows.delete_request import delete_request_flow
from infra.bootstrapping.form import form_of
from tmu.steps.ledger.form_request import PlanShown
from tmu.steps.plan_facts import facts_of

KEY, HASH = "0123456789abcdef" * 2, "ab" * 32
GOOD = {"request": "case-1", "requested_by": "support-1", "people": [KEY]}
COST = {"visits": 2092, "seconds": None, "measured": False}
BODY = {
    "n_records": 65,
    "n_train": 34,
    "by_split": {"train": 34, "test": 17, "holdout": 14},
    "by_class": {"0": 4, "1": 0, "7": 30},
    "shards": [3],
    "warnings": ["Class 7 loses a third of its records."],
    "choice": {
        "method": "tmu-soft",
        "reason": "`tmu-soft` is configured.",
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


def shown(**risk: object) -> PlanShown:
    level = {"level": "low", "audits": 1, "failed": 0, "refusal": None}
    facts = facts_of(BODY | {"choice": BODY["choice"] | {"risk": level | risk}})
    return PlanShown(request="case-1", hash=HASH, due="2026-12-22T20:26:36+00:00", requester="support-1", facts=facts)


def test_risk_method_and_price_are_the_first_lines_of_the_approval() -> None:
    text = plan_markdown(shown(level="high", refusal="class `7` has no hold-out record"), "http://127.0.0.1:8080")
    lines = [line for line in text.splitlines() if line]
    assert lines[0].startswith("> ⚠️ **A check will refuse `tmu-soft`: class `7` has no hold-out record.")
    assert lines[1] == f"> ⚠️ **{BODY['warnings'][0]}**"
    assert lines[2].startswith("**Likely method:** `retrain` (exact retraining), in place of `tmu-soft`")
    assert lines[3].startswith("**Risk:** low. **Price:** 2,092 record visits for the retraining.")
    assert lines[4] == "**Erased:** 65 records in 1 shard: 34 train (4 of `0`, 30 of `7`), 17 test, 14 holdout."
    assert lines[5].startswith("**Purge:** Nothing that the deletion leaves behind is destroyed")  # an older plan
    assert lines[6] == "**Stays:**" and lines[7].startswith("- ")


def test_the_way_to_a_code_stands_above_the_approval() -> None:
    text = plan_markdown(shown(), "http://127.0.0.1:8080")
    assert "**Due** 2026-12-22." in text and "`support-1`, who cannot approve it" in text
    assert "curl $API/requests/case-1/approval-code \\" in text.splitlines()


def test_the_call_for_a_code_has_no_line_that_the_form_cuts_off_and_sends_the_plans_hash(tmp_path: Path) -> None:
    text = plan_markdown(shown(), "http://127.0.0.1:8080")
    call = text.split("```bash\n")[1].split("\n```")[0]
    assert max(map(len, call.splitlines())) <= 56  # what the form shows of a line of code
    assert "|" not in text  # nor of a table
    (tmp_path / "curl").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "curl").chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", call], env={"PATH": f"{tmp_path}:/usr/bin:/bin", "TOKEN": "t"}, capture_output=True, text=True
    )
    sent = done.stdout.splitlines()
    assert sent[0] == "http://127.0.0.1:8080/requests/case-1/approval-code"
    assert json.loads(sent[-1]) == {"plan_hash": HASH} and "Authorization: Bearer t" in sent
