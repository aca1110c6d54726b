"""The gate: does an audited model pass as if it had never seen the forget set?

Rules compare with the golds' own spread, so that an honest retrain always passes (`evaluation.md` 0.7), the unchanged
original never does where it can be told from a gold at all, and too much is as wrong as too little:

1. weights: unlearning changed them.
2. forgetting: activation distance within the floor (a further gold's interval), or significantly below the
   original's with a material part of the excess over the floor closed. "Significantly" alone would let a hair's
   breadth pass: paired intervals are sharp.
3. over-unlearning: UA not far above the golds'.
4. membership: AUC not far from the golds', on either side (far below is the Streisand effect).
5. utility: test accuracy not more than `utility_drop_pct` points below the weakest gold's.

"Far": the model's whole interval lies `FAR_POINTS` beyond the most extreme gold. A few records prove nothing.
Not proved: what a per-example attack with shadow models, or a probe of inner layers, would find.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tmu.audit.bootstrap import Value
from tmu.audit.table import ORIGINAL, AuditResult
from tmu.config import AuditConfig
from tmu.errors import RequestError

FAR_POINTS = 5.0
SHARE_CLOSED = 0.25


@dataclass(frozen=True)
class Verdict:
    """Whether the model passed, and one sentence with its numbers for every rule, each opening with pass or FAIL.

    Not `conclusive`: the forget set is so small that even the unchanged original is within the noise floor.
    """

    passed: bool
    reasons: list[str]
    conclusive: bool = True


_Finding = tuple[bool, str]


def judge(result: AuditResult, method_row: str, config: AuditConfig, *, weights_changed: bool) -> Verdict:
    """Judge one row of an audit.

    `weights_changed`: whether the unlearned weights differ from the original's (the caller compares digests).
    Raises RequestError where the row, the original or a second gold (the noise floor) is missing, or where the row
    is the reference gold itself.
    """
    _check(result, method_row)
    findings = [
        _weights(weights_changed),
        _forgetting(result, method_row),
        _over_unlearning(result, method_row),
        _membership(result, method_row),
        _utility(result, method_row, config.utility_drop_pct),
    ]
    passed = all(ok for ok, _ in findings)
    reasons = [f"{'pass' if ok else 'FAIL'}: {text}" for ok, text in findings]
    return Verdict(passed, reasons, conclusive=_original_shows(result))


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


def _weights(changed: bool) -> _Finding:
    if changed:
        return True, "the weights differ from the original's."
    return False, "the weights are the original's: nothing was unlearned."


def _forgetting(result: AuditResult, row: str) -> _Finding:
    """The do-nothing rule, on activation distance and, where only that tells the original apart, on the average gap."""
    original, noise = result.value(ORIGINAL, "activation_distance"), _floor(result, "activation_distance")
    if original.value > noise.high:
        return _closer(result, row, original, noise)
    original, noise = result.value(ORIGINAL, "average_gap"), _floor(result, "average_gap")
    own = result.value(row, "average_gap")
    if original.value > noise.high:
        text = f"average gap {_points(own)}; the floor ends at {noise.high:.1f}, the original has {_points(original)}"
        return own.value <= noise.high or own.high < original.low, f"{text}."
    count = result.data["records"]["forget"]
    return True, (
        f"not distinguishable at this size ({count} forget records): even the unchanged original is within the noise "
        f"floor (average gap {_points(original)}, floor ends at {noise.high:.1f}), so this rule can prove nothing."
    )


def _original_shows(result: AuditResult) -> bool:
    """Whether the unchanged original can be told from a gold at all, by one of the two numbers of the rule above."""
    numbers = ("activation_distance", "average_gap")
    return any(result.value(ORIGINAL, name).value > _floor(result, name).high for name in numbers)


def _floor(result: AuditResult, metric: str) -> Value:
    """What independent retrains score against each other; of several, the one whose interval reaches farthest."""
    return max((result.value(gold, metric) for gold in result.golds[1:]), key=lambda value: value.high)


def _closer(result: AuditResult, row: str, original: Value, noise: Value) -> _Finding:
    own, gain = result.value(row, "activation_distance"), result.value(row, "distance_gain")
    text = f"activation distance {_distance(own)}; floor {_distance(noise)}, original {_distance(original)}"
    if own.value <= noise.high:
        return True, f"{text}: within the floor."
    excess = original.value - noise.value
    closed = gain.value / excess
    text = f"{text}: gained {_distance(gain)} on doing nothing, {100 * closed:.0f} % of the way to the floor"
    if gain.low <= 0:
        return False, f"{text}, which is not distinguishable from doing nothing."
    if closed < SHARE_CLOSED:
        return False, f"{text}, less than the {100 * SHARE_CLOSED:.0f} % asked for."
    return True, f"{text}."


def _over_unlearning(result: AuditResult, row: str) -> _Finding:
    own = result.value(row, "ua")
    limit = _extreme(result, "ua", max) + FAR_POINTS
    text = f"UA {_percent(own)}, limit {min(limit, 100):.1f} % (highest gold + {FAR_POINTS:g} points)"
    if own.low > limit:
        return False, f"{text}: over-unlearned, the model is wrong far more often than one that never saw the records."
    return True, f"{text}."


def _membership(result: AuditResult, row: str) -> _Finding:
    own = result.value(row, "membership_auc")
    least = _extreme(result, "membership_auc", min) - FAR_POINTS
    most = _extreme(result, "membership_auc", max) + FAR_POINTS
    span = f"{max(least, 0):.1f} to {min(most, 100):.1f} %"
    text = f"membership AUC {_percent(own)}, allowed {span} (golds ± {FAR_POINTS:g} points)"
    if own.high < least:
        return False, f"{text}: the forgotten records stand out by low confidence (Streisand effect)."
    if own.low > most:
        return False, f"{text}: the forgotten records are still recognised as members."
    return True, f"{text}."


def _utility(result: AuditResult, row: str, drop: float) -> _Finding:
    own = result.value(row, "accuracy_test")
    limit = _extreme(result, "accuracy_test", min) - drop
    text = f"test accuracy {_percent(own)}, limit {limit:.1f} % (weakest gold - {drop:g} points)"
    return own.value >= limit, f"{text}."


def _extreme(result: AuditResult, metric: str, pick: Callable[..., float]) -> float:
    return pick(result.value(gold, metric).value for gold in result.golds)


def _percent(value: Value) -> str:
    return f"{value.value:.1f} % [{value.low:.1f}, {value.high:.1f}]"


def _points(value: Value) -> str:
    return f"{value.value:.1f} points [{value.low:.1f}, {value.high:.1f}]"


def _distance(value: Value) -> str:
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"
