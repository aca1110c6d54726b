"""An audit by equality in the form of every audit: `audit.json` and `report.html`. There are no golds in it."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from tmu.audit.bootstrap import Value, mean_value
from tmu.audit.equality import PROOF, Equality, findings_of, sentence_of, verdict_of
from tmu.audit.report import Words, filled
from tmu.config import AuditConfig
from tmu.files import write_atomic, write_json

_METRICS = {
    "statistics_distance": (
        "distance of statistics", "relative", "lower", True,
        "Relative distance of what the head was solved from to the same, summed anew over the records that stay.",
    ),
    "head_distance_exact": (
        "distance of the head", "relative", "lower", True,
        "Relative distance of the model's head to the one that retraining gives, in float64.",
    ),
    "accuracy_test": ("TA", "%", "higher", True, "Share of never-seen records that the model gets right."),
    "ua": ("UA", "%", "gold", True, "Share of the forget set that the model gets wrong."),
}  # fmt: skip
_CAPTION = Markup(
    "Small: 95 % interval over records, where there is one. <b>original</b>: the model before the deletion. Accuracies "
    "are shown for use, and judge nothing: the proof is equality."
)
LIMITS = (
    "Shown: that the model is the one that training without the records gives, by summing anew what its head is solved "
    "from.",
    "Not reached: the start. If the network below the head had seen the records before it became the start, it still "
    "has.",
    "The recomputation runs on the compute environment of the deletion. On another one, features differ in their last "
    "bits, and so do the sums.",
    "Whoever has the models before and after learns from their difference what was erased: old versions are not handed "
    "out.",
    "Models in older backups, caches or other people's hands are outside this audit.",
)


def result_of(
    found: Equality, correct: Mapping[str, Mapping[str, np.ndarray]], method: str, config: AuditConfig, seed: int
) -> dict[str, Any]:
    """`result` of audit.json. correct: by model (`original`, `unlearned`) and set (`test`, `forget`): bool (N,)."""
    rows = []
    for model, name in (("original", "original"), ("unlearned", method)):
        apart = (found.original, None) if model == "original" else (found.statistics, found.head)
        cells = dict(zip(("statistics_distance", "head_distance_exact"), map(_exactly, apart), strict=True))
        right = correct[model]
        cells["accuracy_test"] = _share(right["test"], config.bootstrap, seed)
        cells["ua"] = _share(~right["forget"], config.bootstrap, seed)
        rows.append({"name": name, "seconds": None, "metrics": cells})
    names = ("title", "unit", "better", "headline", "meaning")
    metrics = [{"name": name, **dict(zip(names, facts, strict=True))} for name, facts in _METRICS.items()]
    sizes = {"forget": len(correct["original"]["forget"]), "retain": found.records}
    sizes["test"] = len(correct["original"]["test"])
    return {
        "rows": rows, "metrics": metrics, "golds": [], "records": sizes, "resamples": config.bootstrap, "proof": PROOF,
    }  # fmt: skip


def write_equality_audit(folder: Path, found: Equality, result: dict[str, Any], provenance: dict[str, Any]) -> None:
    """Write audit.json and report.html. The last row of `result` is judged; `provenance` is shown as given."""
    findings, row = findings_of(found), result["rows"][-1]["name"]
    verdict = verdict_of(findings)
    sentence = sentence_of(verdict, findings, result["records"]["forget"])
    data = {
        "result": result,
        "verdict": {"row": row, **verdict.as_json()},
        "sentence": sentence,
        "rules": {name: each.outcome for name, each in findings.items()},
        "equality": found.as_json(),
        "predictor": None,
        "people": None,
        "provenance": provenance,
    }
    write_json(folder / "audit.json", data)
    page = filled(result, verdict, provenance, {}, Words(_CAPTION, LIMITS, {}), row=row, sentence=sentence)
    write_atomic(folder / "report.html", page.encode())


def _exactly(value: float | None) -> dict[str, float] | None:
    return None if value is None else asdict(Value(value, value, value))


def _share(hits: np.ndarray, resamples: int, seed: int) -> dict[str, float] | None:
    """A share in per cent with its interval; None of no record."""
    if not len(hits):
        return None
    return asdict(mean_value(100.0 * hits, (0.0, 100.0), resamples, seed))
