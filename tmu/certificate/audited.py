"""The audit's numbers and the coverage of attacks, from a stored `audit.json`."""

import json
import math
from pathlib import Path
from typing import Any

from tmu.certificate.parts import Attack, Audit, Measure, Number, Power
from tmu.deletion.deletion import AuditVerdict
from tmu.errors import DataError
from tmu.manifest import digest

_MEMBERSHIP = ("membership_evidence", "membership_auc", "mia_efficacy", "reference_distance")
_NOT_RUN = {
    "attribute": "no attack on attributes that are not in the labels is part of the audit",
    "inversion": "no attack that rebuilds a picture from the model's answers is part of the audit",
    "reconstruction": "no attack that rebuilds records from a model before and after is part of the audit",
}
_OUT_OF_SCOPE = {"extraction": "an image classifier gives class scores; it cannot utter what it was trained on"}
_UNAUDITED = "there was no audit: no model had learned the records, or there is nothing to compare its answers with"


def audit_of(folder: Path) -> Audit:
    """An audit's folder in numbers. Raises DataError for one that cannot be read."""
    try:
        raw = json.loads((folder / "audit.json").read_bytes())
        return _audit_of(raw, digest(folder))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError("The audit of the deletion cannot be read.", "Restore it from a backup.") from error


def attacks_of(audit: Audit | None) -> tuple[Attack, ...]:
    """What was tried on the model, and on the models before and after together."""
    attacks = [_membership(audit), _difference(audit)]
    attacks += [Attack(name=name, state="not run", why=why) for name, why in _NOT_RUN.items()]
    attacks += [Attack(name=name, state="out of scope", why=why) for name, why in _OUT_OF_SCOPE.items()]
    return tuple(sorted(attacks, key=lambda each: each.name))


def _membership(audit: Audit | None) -> Attack:
    if audit is None:
        return Attack(name="membership", state="not run", why=_UNAUDITED)
    if _by_equality(audit):
        return Attack(name="membership", state="not run", why=f"the proof is equality, not an attack: {audit.outcome}")
    against = f"{audit.references} pairs of references" if audit.references else f"{audit.golds} retrained models"
    used = [name for name in _MEMBERSHIP if any(each.metric == name for each in audit.measures)]
    return Attack(name="membership", state="run", why=f"{', '.join(used)}, against {against}: {audit.outcome}")


def _difference(audit: Audit | None) -> Attack:
    if audit and _by_equality(audit):
        why = "not measured: the difference of two heads tells what was erased; old versions are not handed out"
        return Attack(name="difference of versions", state="not run", why=why)
    said = audit.old_versions if audit else ""
    return Attack(name="difference of versions", state="run" if said else "not run", why=said or _UNAUDITED)


def _by_equality(audit: Audit) -> bool:
    """Whether a recomputation was the proof: nothing was trained to compare with."""
    return not audit.references and not audit.golds


def _audit_of(raw: dict[str, Any], sha256: str) -> Audit:
    result, verdict = raw["result"], AuditVerdict.of(raw["verdict"])
    named = {each["name"]: each for each in result["metrics"]}
    shown = [row for row in result["rows"] if row["name"] in ("original", verdict.row)]
    measures = [
        _measure(named.get(name, {}), name, row["name"], cell, result.get("floor", {}).get(name))
        for row in shown
        for name, cell in row["metrics"].items()
        if cell
    ]
    power = (raw.get("membership") or {}).get("power")
    return Audit(
        outcome=verdict.outcome,
        row=verdict.row,
        reasons=verdict.reasons,
        sentence=raw.get("sentence", ""),
        old_versions=raw.get("old_versions") or "",
        measures=tuple(measures),
        power=power and Power(convicted=power["convicted"], p_value=power["p_value"], share=_number(power["share"])),
        references=result.get("references") or 0,
        golds=len(result.get("golds") or ()),
        sha256=sha256,
        provenance={name: str(value) for name, value in raw.get("provenance", {}).items()},
    )


def _measure(metric: dict[str, Any], name: str, model: str, cell: dict[str, Any], floor: Any) -> Measure:
    bounds = None if not floor else tuple(_number(floor.get(part)) for part in ("value", "low", "high"))
    value, low, high = (_number(cell.get(part)) for part in ("value", "low", "high"))
    unit, better = metric.get("unit", ""), metric.get("better", "")
    return Measure(metric=name, model=model, unit=unit, better=better, value=value, low=low, high=high, floor=bounds)


def _number(value: Any) -> Number:
    """A number that canonical JSON can hold, to six digits; None for any other."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.6g}")
