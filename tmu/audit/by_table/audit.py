"""The audit without golds, as a whole: numbers, rules, verdict, and one sentence about the person."""

from dataclasses import dataclass
from typing import Any

from tmu.audit.by_table import rules
from tmu.audit.by_table.case import TableCase
from tmu.audit.by_table.conclusion import conclusion
from tmu.audit.by_table.distance import Distance, distance_of
from tmu.audit.by_table.layer import layer_of
from tmu.audit.by_table.membership import Membership, memberships
from tmu.audit.by_table.numbers import result_of, told
from tmu.audit.by_table.people import people_of
from tmu.audit.by_table.utility import Utility, utility_of
from tmu.audit.gate import Verdict
from tmu.audit.gate_rules import weights


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
    distances = {"outer": distance_of(case), "inner": distance_of(case, inner=True) if case.has_inner else None}
    useful = utility_of(case, layer)
    findings = _findings(case, outer, inner, distances, useful)
    passed = all(found.outcome != "failed" for found in findings.values())
    conclusive = any(findings[name].outcome != "inconclusive" for name in ("membership", "distance"))
    conclusive &= findings["utility"].outcome != "inconclusive"
    verdict = Verdict(passed, [f"{each.outcome}: {each.text}" for each in findings.values()], conclusive)
    sentence = conclusion(verdict.outcome, outer, findings)
    data = {
        "result": result_of(case, outer, inner, distances, useful),
        "verdict": {"row": case.method, **verdict.as_json()},
        "sentence": sentence,
        "rules": {name: each.outcome for name, each in findings.items()},
        "membership": told(outer) | {"others": [told(each) for each in others]},
        "inner": told(inner) if inner else None,
        "people": people_of(outer, findings["persons"]),
    }
    return TableAudit(verdict, sentence, data, outer, distances["outer"], useful)


def _findings(
    case: TableCase,
    outer: Membership,
    inner: Membership | None,
    distances: dict[str, Distance | None],
    useful: Utility,
) -> dict[str, rules.Finding]:
    config = case.config
    return {
        "weights": weights(case.weights_changed, case.parameters_moved),
        "membership": rules.membership(outer, config, distances["outer"]),
        "persons": rules.people(outer, config, distances["outer"]),
        "inner layers": rules.inner(inner, config, distances["inner"]),
        "distance": rules.distance(distances["outer"], config),
        "inner distance": rules.distance(distances["inner"], config, "inner layers, with fresh heads: "),
        "utility": rules.utility(useful, config),
        "people who stay": rules.staying(useful, config),
        "classes": rules.classes(useful, config),
        "sets": rules.sets(useful),
    }
