"""The audit of a model with a ridge head: proof by equality, where other audits can only look for a difference.

The statistics that its head was solved from are summed anew over the records that stay. If they are the same numbers,
and the network below the head is the start, the model is the one that retraining without the records gives. Rules:

1. start: the network below the head is the start, bit for bit: nothing of it learned the records.
2. records: the statistics are of as many records of each class as stay.
3. statistics: their relative distance to those summed anew is at most 1e-9.
4. head: so is that of the heads that either gives.
5. weights: the model's own head is that one, as fp32 holds it.

Not reached, and not judged: what the start had learned before it became one.
"""

from dataclasses import asdict, dataclass
from typing import Any

from tmu.audit.gate import Verdict
from tmu.audit.gate_rules import Finding

LIMIT = 1e-9
LIMIT_FP32 = 1e-6
PROOF = "recomputation"


@dataclass(frozen=True)
class Equality:
    """What was found. fault: why the statistics cannot be read; then no distance is known. records: how many stay.

    start: whether the network is the start. counts: whether the records by class agree. statistics, head, weights:
    relative distances. original: the distance of the original's statistics, which shows what would have been seen.
    """

    start: bool
    records: int
    original: float
    fault: str = ""
    counts: bool = False
    statistics: float | None = None
    head: float | None = None
    weights: float | None = None

    def as_json(self) -> dict[str, Any]:
        """JSON-ready; the verdict can be given again from it."""
        return asdict(self)


def findings_of(found: Equality) -> dict[str, Finding]:
    """What each rule says, by its name."""
    start = "the network below the head is the start, bit for bit."
    if not found.start:
        start = "the network below the head is not the start: it may have learned the records."
    findings = {"start": _finding(found.start, start)}
    if found.fault:
        text = f"the statistics of the head cannot be compared: {found.fault}"
        return findings | {"statistics": Finding("failed", text)}
    agree = "as many records of each class as stay" if found.counts else "other records than those that stay"
    return findings | {
        "records": _finding(found.counts, f"the statistics are of {agree} ({found.records:,} in all)."),
        "statistics": _within(
            found.statistics, LIMIT, f"the statistics, summed anew (the original's are apart by {found.original:.1e})"
        ),
        "head": _within(found.head, LIMIT, "the head that they give, in float64"),
        "weights": _within(found.weights, LIMIT_FP32, "the model's own head, in fp32"),
    }


def verdict_of(findings: dict[str, Finding]) -> Verdict:
    """Equality is never inconclusive."""
    passed = all(found.outcome == "passed" for found in findings.values())
    return Verdict(passed, [f"{each.outcome}: {each.text}" for each in findings.values()])


def sentence_of(verdict: Verdict, findings: dict[str, Finding], records: int) -> str:
    """The conclusion for the person who asked. records: how many were forgotten."""
    if verdict.passed:
        return f"Exact: the model is what training without the {records:,} erased records gives."
    failed = ", ".join(name for name, each in findings.items() if each.outcome == "failed")
    return f"The model is not shown to be what training without the records gives; what failed: {failed}."


def _within(distance: float | None, limit: float, what: str) -> Finding:
    near = distance is not None and distance <= limit  # NaN is not near
    return _finding(near, f"{what}: relative distance {distance:.1e}, limit {limit:.0e}.")


def _finding(holds: bool, text: str) -> Finding:
    return Finding("passed" if holds else "failed", text)
