"""The audit's numbers in the form of every audit (`tmu/audit/table.py`): rows by metric, JSON-ready.

So MLflow, certificate, terminal and report page read them as they read an audit with golds; there are no golds in it.
"""

from dataclasses import asdict
from typing import Any

from tmu.audit.bootstrap import Value
from tmu.audit.by_table.case import TableCase
from tmu.audit.by_table.difference import Difference
from tmu.audit.by_table.distance import Distance
from tmu.audit.by_table.law import LEVEL
from tmu.audit.by_table.measured import Measured
from tmu.audit.by_table.membership import Membership, Seen

_HEADLINE = ("membership_evidence", "reference_distance", "accuracy_test", "accuracy_retain")
_METRICS = {
    "membership_evidence": (
        "evidence",
        "s.d.",
        "gold",
        "Evidence that the forgotten records are known, in standard deviations of what models show that never saw "
        "them; the aim is 0.",
    ),
    "membership_p": (
        "p, member",
        "probability",
        "higher",
        "How often a model that never saw the records shows as much evidence.",
    ),
    "streisand_p": (
        "p, low confidence",
        "probability",
        "higher",
        "How often a model that never saw the records is as unsure of them.",
    ),
    "head_evidence": (
        "evidence, fresh head",
        "s.d.",
        "gold",
        "The same evidence for the model's body with a fresh last layer; the aim is 0.",
    ),
    "reference_distance": (
        "distance to unseen",
        "L2",
        "lower",
        "Mean distance of the answers on the forget set to those of references that never saw them.",
    ),
    "reference_distance_gain": (
        "distance gained",
        "L2",
        "higher",
        "The original's distance less the model's, paired by record.",
    ),
    "head_reference_distance": (
        "distance, fresh head",
        "L2",
        "lower",
        "The same distance for the model's body with a fresh last layer.",
    ),
    "ua": ("UA", "%", "gold", "Share of the forget set that the model gets wrong."),
    "accuracy_retain": ("RA", "%", "higher", "Share of a sample of the records that stay that the model gets right."),
    "accuracy_test": ("TA", "%", "higher", "Share of never-seen records that the model gets right."),
    "test_lost": (
        "test accuracy lost",
        "pts",
        "lower",
        "The original's test accuracy less the model's, paired by record.",
    ),
    "retain_lost": ("retain accuracy lost", "pts", "lower", "The same on the people who stay."),
    "exposed_lost": (
        "lost by the exposed",
        "pts",
        "lower",
        "The same on the most exposed tenth of the people who stay.",
    ),
    "difference_auc": (
        "difference AUC",
        "%",
        "gold",
        "How well the drop of confidence from the model before to the model after tells deleted from never-seen "
        "records: 50 is a guess. It is why old versions are not handed out.",
    ),
    "difference_auc_staying": (
        "difference AUC, staying",
        "%",
        "gold",
        "The same against records that stay.",
    ),
    "difference_learned_auc": (
        "learned difference AUC",
        "%",
        "gold",
        "The same by a classifier that learned from other deleted records what a deletion changes.",
    ),
    "worst_class_lost": ("worst class lost", "pts", "lower", "The largest loss of a class on the test set."),
}


def result_of(case: TableCase, measured: Measured, difference: Difference) -> dict[str, Any]:
    """`result` of audit.json: the row of the original, the row that is judged, and what references show themselves."""
    judged = {
        **_cells("unlearned", measured),
        "difference_auc": asdict(difference.drop),
        "difference_auc_staying": asdict(difference.staying),
        "difference_learned_auc": asdict(difference.learned) if difference.learned else None,
    }
    rows = [
        {"name": row, "seconds": None, "metrics": metrics}
        for row, metrics in (("original", _cells("original", measured)), (case.method, judged))
    ]
    floor: dict[str, Any] = dict.fromkeys(_METRICS)
    for name, found in _distances(measured).items():
        floor[name] = asdict(found.floor) if found and found.floor else None
    floor["membership_evidence"] = {"value": 0.0, "low": -1.96, "high": 1.96}
    floor["head_evidence"] = floor["membership_evidence"] if measured.inner else None
    floor["difference_auc"] = asdict(difference.floor)
    return {
        "records": {name: len(part) for name, part in case.parts.items()},
        "golds": [],
        "references": case.pairs,
        "seed": case.seed,
        "resamples": case.config.bootstrap,
        "metrics": [_described(name) for name in _METRICS],
        "rows": rows,
        "floor": floor,
    }


def told(found: Membership) -> dict[str, Any]:
    """Evidence of the request, its law and its power, as JSON."""
    return {
        "score": found.kind,
        "level": LEVEL,
        **{model: _seen(each) for model, each in found.request.items()},
        "share_left": found.left,
        "power": asdict(found.power),
        "null": {
            "variance": found.null.own,
            "alike_in_a_person": found.null.person,
            "alike_in_a_network": found.null.network,
            "persons": found.null.persons,
            "networks": found.null.networks,
            "alike_known": found.null.alike_known,
        },
    }


def _seen(seen: Seen) -> dict[str, float]:
    return {
        "evidence": float(seen.evidence[0]),
        "p_member": float(seen.member[0]),
        "p_low": float(seen.low[0]),
    }


def _distances(measured: Measured) -> dict[str, Distance | None]:
    return {"reference_distance": measured.distance, "head_reference_distance": measured.inner_distance}


def _cells(model: str, measured: Measured) -> dict[str, Any]:
    own, inner, useful = measured.outer.request[model], measured.inner, measured.utility
    cells: dict[str, Value | None] = dict.fromkeys(_METRICS)
    cells["membership_evidence"] = _spread(own)
    cells["membership_p"], cells["streisand_p"] = _exact(own.member[0]), _exact(own.low[0])
    cells["head_evidence"] = _spread(inner.request[model]) if inner else None
    for name, found in _distances(measured).items():
        cells[name] = found.models[model] if found else None
    forget = useful.accuracy["forget"][model]
    cells["ua"] = Value(100 - forget.value, 100 - forget.high, 100 - forget.low)
    cells["accuracy_retain"], cells["accuracy_test"] = (useful.accuracy[part][model] for part in ("retain", "test"))
    if model == "unlearned":
        cells["reference_distance_gain"] = measured.distance.gain
        cells["test_lost"], cells["retain_lost"] = useful.test.lost, useful.retain.lost
        cells["exposed_lost"] = useful.exposed.lost
        cells["worst_class_lost"] = max((each.lost for each in useful.classes.values()), key=lambda lost: lost.value)
    return {name: None if cell is None else asdict(cell) for name, cell in cells.items()}


def _spread(seen: Seen) -> Value:
    value = float(seen.evidence[0])
    return Value(value, value - 1.96, value + 1.96)


def _exact(value: float) -> Value:
    return Value(float(value), float(value), float(value))


def _described(name: str) -> dict[str, Any]:
    title, unit, better, meaning = _METRICS[name]
    return {
        "name": name,
        "title": title,
        "unit": unit,
        "better": better,
        "headline": name in _HEADLINE,
        "meaning": meaning,
    }
