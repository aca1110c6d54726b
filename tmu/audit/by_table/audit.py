"""The audit without golds, as a whole: numbers, rules, verdict, and one sentence about the person."""

from dataclasses import dataclass
from typing import Any

from tmu.audit.by_table.case import TableCase
from tmu.audit.by_table.conclusion import conclusion
from tmu.audit.by_table.difference import difference_of
from tmu.audit.by_table.distance import Distance, distance_of
from tmu.audit.by_table.layer import layer_of
from tmu.audit.by_table.measured import Measured, findings_of, verdict_of
from tmu.audit.by_table.membership import Membership, memberships
from tmu.audit.by_table.numbers import result_of, told
from tmu.audit.by_table.people import people_of
from tmu.audit.by_table.utility import Utility, utility_of
from tmu.audit.gate import Verdict


@dataclass(frozen=True, eq=False)
class TableAudit:
    """verdict: as of the gate. sentence: the person-level conclusion in plain words. data: JSON-ready, for audit.json.

    outer, distance: for the figures.
    """

    verdict: Verdict
    sentence: str
    data: dict[str, Any]
    outer: Membership
    distance: Distance
    utility: Utility


def audit_by_table(case: TableCase) -> TableAudit:
    """Judge an unlearned model by the references' table alone.

    Cost: R calibrations for each of the 2R references and both models on the test sample, O(R^2 T), and bootstraps.
    Raises DataError where the table is no table of pairs, or has too few never-seen records.
    """
    layer = layer_of(case)
    outer, *others = memberships(layer, case.seed)
    inner = memberships(layer_of(case, inner=True), case.seed)[0] if case.has_inner else None
    distance = distance_of(case)
    inner_distance = distance_of(case, inner=True) if case.has_inner else None
    useful = utility_of(case, layer)
    difference = difference_of(case, layer)
    measured = Measured(case.weights_changed, case.parameters_moved, outer, inner, distance, inner_distance, useful)
    findings = findings_of(measured, case.config)
    verdict = verdict_of(findings)
    sentence = conclusion(verdict.outcome, outer, findings)
    data = {
        "result": result_of(case, measured, difference),
        "verdict": {"row": case.method, **verdict.as_json()},
        "sentence": sentence,
        "rules": {name: each.outcome for name, each in findings.items()},
        "membership": told(outer) | {"others": [told(each) for each in others]},
        "inner": told(inner) if inner else None,
        "old_versions": difference.sentence,
        "measured": measured.as_json(),
        "people": people_of(outer, findings["persons"]),
    }
    return TableAudit(verdict, sentence, data, outer, distance, useful)
