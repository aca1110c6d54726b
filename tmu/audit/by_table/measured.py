"""All that the rules of the audit without golds look at, as numbers: the verdict can be given again from them.

They are of the forget set as a whole, of its people by place, and of the never-seen records; no record and no key.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tmu.audit.bootstrap import Value
from tmu.audit.by_table import rules
from tmu.audit.by_table.distance import Distance
from tmu.audit.by_table.membership import Membership, Seen
from tmu.audit.by_table.power import Power
from tmu.audit.by_table.utility import Lost, Utility
from tmu.audit.gate import Verdict
from tmu.audit.gate_rules import weights
from tmu.config import AuditConfig

Findings = dict[str, rules.Finding]


@dataclass(frozen=True, eq=False)
class Measured:
    """weights_changed, parameters_moved: as for `gate.judge`. inner, inner_distance: of fresh heads, where looked."""

    weights_changed: bool
    parameters_moved: float | None
    outer: Membership
    inner: Membership | None
    distance: Distance
    inner_distance: Distance | None
    utility: Utility

    def as_json(self) -> dict[str, Any]:
        """JSON-ready; `from_json` is its inverse, but for the law behind the evidence."""
        return {
            "weights_changed": self.weights_changed,
            "parameters_moved": self.parameters_moved,
            "outer": _told(self.outer),
            "inner": self.inner and _told(self.inner),
            "distance": asdict(self.distance),
            "inner_distance": self.inner_distance and asdict(self.inner_distance),
            "utility": asdict(self.utility) | {"classes": [[k, asdict(v)] for k, v in self.utility.classes.items()]},
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "Measured":
        """The inverse of `as_json`."""
        inner, inner_distance = raw["inner"], raw["inner_distance"]
        return cls(
            weights_changed=raw["weights_changed"],
            parameters_moved=raw["parameters_moved"],
            outer=_membership(raw["outer"]),
            inner=_membership(inner) if inner else None,
            distance=_distance(raw["distance"]),
            inner_distance=_distance(inner_distance) if inner_distance else None,
            utility=_utility(raw["utility"]),
        )


def findings_of(found: Measured, config: AuditConfig) -> Findings:
    """What each rule says, by its name."""
    return {
        "weights": weights(found.weights_changed, found.parameters_moved),
        "membership": rules.membership(found.outer, config, found.distance),
        "persons": rules.people(found.outer, config, found.distance),
        "inner layers": rules.inner(found.inner, config, found.inner_distance),
        "distance": rules.distance(found.distance, config),
        "inner distance": rules.distance(found.inner_distance, config, "inner layers, with fresh heads: "),
        "utility": rules.utility(found.utility, config),
        "people who stay": rules.staying(found.utility, config),
        "classes": rules.classes(found.utility, config),
        "sets": rules.sets(found.utility),
    }


def verdict_of(findings: Findings) -> Verdict:
    """Failed where a rule failed; conclusive where membership or distance could tell, and utility could."""
    passed = all(found.outcome != "failed" for found in findings.values())
    conclusive = any(findings[name].outcome != "inconclusive" for name in ("membership", "distance"))
    conclusive &= findings["utility"].outcome != "inconclusive"
    return Verdict(passed, [f"{each.outcome}: {each.text}" for each in findings.values()], conclusive)


def _told(found: Membership) -> dict[str, Any]:
    """Its people by place, in the order of their evidence under the unlearned model: nobody's own."""
    order = np.argsort(-found.people["unlearned"].evidence, kind="stable")
    return {
        "kind": found.kind,
        "power": asdict(found.power),
        "request": {name: _arrays(each, slice(None)) for name, each in found.request.items()},
        "people": {name: _arrays(each, order) for name, each in found.people.items()},
    }


def _arrays(seen: Seen, order: Any) -> dict[str, list[float]]:
    return {name: getattr(seen, name)[order].tolist() for name in ("records", "evidence", "member", "low")}


def _membership(raw: dict[str, Any]) -> Membership:
    request, people = (
        {name: Seen(**{key: np.array(values) for key, values in each.items()}) for name, each in raw[part].items()}
        for part in ("request", "people")
    )
    named = np.arange(len(people["unlearned"].member))
    return Membership(raw["kind"], request, people, named, None, Power(**raw["power"]))


def _distance(raw: dict[str, Any]) -> Distance:
    models = {name: Value(**each) for name, each in raw["models"].items()}
    return Distance(models, Value(**raw["gain"]), Value(**raw["floor"]) if raw["floor"] else None)


def _utility(raw: dict[str, Any]) -> Utility:
    accuracy = {
        part: {model: Value(**value) for model, value in models.items()} for part, models in raw["accuracy"].items()
    }
    test, retain, exposed = (_lost(raw[name]) for name in ("test", "retain", "exposed"))
    return Utility(accuracy, test, retain, exposed, {number: _lost(each) for number, each in raw["classes"]})


def _lost(raw: dict[str, Any]) -> Lost:
    return Lost(Value(**raw["lost"]), raw["records"])
