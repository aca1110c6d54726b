"""The gate: does an audited model pass as if it had never seen the forget set?

Rules compare with the golds' own spread, so that an honest retrain always passes, the unchanged
original never does where it can be told from a gold at all, and too much is as wrong as too little:

1. weights: unlearning changed the trained parameters, and not batch normalisation's statistics alone.
2. forgetting: activation distance within the floor, or significantly below the original's with a material part of the
   excess over the floor closed. "Significantly" alone would let a hair's breadth pass: paired intervals are sharp.
3. inner layers: the same for the models' bodies with fresh heads, so that a change of the last layer does not pass.
4. over-unlearning: UA not far above the golds'.
5. membership: AUC not far from the golds', on either side (far below is the Streisand effect).
6. utility: test accuracy not more than `utility_drop_pct` points below the weakest gold's.
7. sets: the original knows the forget set, and every trained model its own records.

"Far": the model's whole interval lies `far_points` beyond the most extreme gold. With a few records nothing can be
told: a rule whose metric does not even tell the unchanged original from a gold is inconclusive.
Not proved: what an attacker with shadow models in and out of every record would find.
The rules: `gate_rules.py`.
"""

from dataclasses import asdict, dataclass
from typing import Any

from tmu.audit import gate_rules as rules
from tmu.audit.table import ORIGINAL, AuditResult
from tmu.config import AuditConfig
from tmu.errors import RequestError

_UTILITY = 5  # place of that rule


@dataclass(frozen=True)
class Verdict:
    """The outcome, and a sentence with its numbers for every rule, each opening with the rule's own outcome.

    passed: no rule failed. Not `conclusive`: the forget set is so small that even the unchanged original is within the
    noise floor, by activation distance and by average gap; or the test set is so small that utility cannot be told.
    """

    passed: bool
    reasons: list[str]
    conclusive: bool = True

    @property
    def outcome(self) -> rules.Outcome:
        """`failed` where a rule failed; `inconclusive` where none did, but no difference could have been seen."""
        if not self.passed:
            return "failed"
        return "passed" if self.conclusive else "inconclusive"

    def as_json(self) -> dict[str, Any]:
        """All fields and the outcome."""
        return {"outcome": self.outcome, **asdict(self)}


def judge(
    result: AuditResult,
    method_row: str,
    config: AuditConfig,
    *,
    weights_changed: bool,
    parameters_moved: float | None = None,
) -> Verdict:
    """Judge one row of an audit.

    `weights_changed`: whether the unlearned weights differ from the original's (the caller compares digests).
    `parameters_moved`: by how much the trained ones do (`moved.parameters_moved`); None where nobody looked.
    Raises RequestError where the row, the original or a second gold (the noise floor) is missing, or where the row
    is the reference gold itself.
    """
    _check(result, method_row)
    findings = [
        rules.weights(weights_changed, parameters_moved),
        rules.forgetting(result, method_row, config),
        rules.inner_layers(result, method_row, config),
        rules.over_unlearning(result, method_row, config),
        rules.membership(result, method_row, config),
        rules.utility(result, method_row, config),
        rules.sets(result, config),
    ]
    useful = findings[_UTILITY].outcome != "inconclusive"
    passed = all(found.outcome != "failed" for found in findings)
    reasons = [f"{found.outcome}: {found.text}" for found in findings]
    return Verdict(passed, reasons, conclusive=useful and rules.original_shows(result))


def _check(result: AuditResult, method_row: str) -> None:
    if len(result.golds) < 2:
        raise RequestError(
            "The gate needs a second gold as its noise floor.", "Train another gold with other seeds and audit again."
        )
    for row in (ORIGINAL, method_row):
        if row not in result.rows:
            raise RequestError(f"The audit has no row `{row}`.", f"Its rows are: {', '.join(result.rows)}.")
    if method_row == result.golds[0]:
        raise RequestError(f"`{method_row}` is the reference of this audit.", "Judge another row.")
