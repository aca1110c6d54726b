"""The audit by equality: each rule bites, and the report holds what the verdict rests on."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from tmu.audit.equality import Equality, findings_of, sentence_of, verdict_of
from tmu.audit.equality_report import result_of, write_equality_audit
from tmu.audit.render import markdown
from tmu.certificate.audited import attacks_of, audit_of
from tmu.config import AuditConfig
from tmu.evidence.spot import judged_again
from tmu.manifest import seal

EQUAL = Equality(start=True, records=90, original=0.02, counts=True, statistics=0.0, head=1e-12, weights=0.0)
CONFIG = AuditConfig(bootstrap=100)
CORRECT = {
    "original": {"test": np.ones(20, dtype=bool), "forget": np.ones(5, dtype=bool)},
    "unlearned": {"test": np.arange(20) > 2, "forget": np.arange(5) > 1},
}


def test_equality_passes_and_says_exact():
    findings = findings_of(EQUAL)
    verdict = verdict_of(findings)
    assert (verdict.outcome, len(verdict.reasons)) == ("passed", 5)
    assert sentence_of(verdict, findings, 7) == "Exact: the model is what training without the 7 erased records gives."


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"start": False}, "start"),
        ({"counts": False}, "records"),
        ({"statistics": 1.1e-9}, "statistics"),
        ({"statistics": math.nan}, "statistics"),
        ({"head": 1.1e-9}, "head"),
        ({"head": math.inf}, "head"),
        ({"weights": 1.1e-6}, "weights"),
        ({"fault": "They were changed."}, "statistics"),
    ],
)
def test_every_rule_fails_alone(changed, rule):
    findings = findings_of(replace(EQUAL, **changed))
    assert [name for name, each in findings.items() if each.outcome == "failed"] == [rule]
    verdict = verdict_of(findings)
    assert verdict.outcome == "failed"
    assert sentence_of(verdict, findings, 7).endswith(f"what failed: {rule}.")


def test_the_report_holds_the_numbers_and_the_verdict_follows_from_them_again(tmp_path):
    result = result_of(EQUAL, CORRECT, "exact-head", CONFIG, seed=0)
    write_equality_audit(tmp_path, EQUAL, result, {"proof": "equality"})
    raw = json.loads((tmp_path / "audit.json").read_text())
    assert (raw["verdict"]["row"], raw["verdict"]["outcome"]) == ("exact-head", "passed")
    assert judged_again(raw, CONFIG).as_json() == {
        name: raw["verdict"][name] for name in raw["verdict"] if name != "row"
    }
    assert judged_again({**raw, "equality": {**raw["equality"], "head": 1.0}}, CONFIG).outcome == "failed"
    cells = raw["result"]["rows"][1]["metrics"]
    assert (cells["accuracy_test"]["value"], cells["ua"]["value"]) == (85.0, 40.0)
    page = (tmp_path / "report.html").read_text()
    assert "Exact: the model is what training without the 5 erased records gives." in page
    assert "Not reached: the start." in page
    assert "<h2>Figures" not in page
    assert "| exact-head | 0.0e+00" in markdown(raw["result"])
    assert "proof: recomputation" in markdown(raw["result"])


def test_without_test_records_there_is_no_accuracy():
    none = {model: {**sets, "test": np.zeros(0, dtype=bool)} for model, sets in CORRECT.items()}
    rows = result_of(EQUAL, none, "exact-head", CONFIG, seed=0)["rows"]
    assert [row["metrics"]["accuracy_test"] for row in rows] == [None, None]


def test_a_certificate_says_that_no_attack_was_run_and_why(tmp_path):
    write_equality_audit(tmp_path, EQUAL, result_of(EQUAL, CORRECT, "exact-head", CONFIG, 0), {})
    seal(tmp_path, "audit", {})
    found = audit_of(tmp_path)
    assert (found.outcome, found.golds, found.references) == ("passed", 0, 0)
    said = {each.name: (each.state, each.why) for each in attacks_of(found)}
    assert said["membership"] == ("not run", "the proof is equality, not an attack: passed")
    assert said["difference of versions"][0] == "not run"
    assert "old versions are not handed out" in said["difference of versions"][1]
