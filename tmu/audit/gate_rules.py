"""The rules of the gate (`gate.py`): each gives an outcome and a sentence or two with the numbers behind it.

`inconclusive`: the rule cannot tell here, since even the unchanged original is within the noise floor, or what it asks
for was not measured. Its power is in the sentence: the end of the floor is the smallest number that it could have seen.
"""

from typing import Literal, NamedTuple

from tmu.audit.bootstrap import Value
from tmu.audit.table import ORIGINAL, AuditResult
from tmu.config import AuditConfig

Outcome = Literal["passed", "failed", "inconclusive"]
BLIND = 50.0  # points: an interval that wide says nothing
LEAST_MOVE = 1e-6  # relative change of the parameters that rounding could cause


class Finding(NamedTuple):
    """What a rule says of a row."""

    outcome: Outcome
    text: str


def weights(changed: bool, moved: float | None) -> Finding:
    """The weights differ, and so do the trained parameters."""
    if not changed:
        return Finding("failed", "the weights are the original's: nothing was unlearned.")
    if moved is None:
        return Finding("passed", "the weights differ from the original's.")
    if moved < LEAST_MOVE:
        return Finding(
            "failed",
            "the trained parameters are the original's, only batch normalisation's statistics drifted: "
            "nothing was unlearned.",
        )
    text = f"the weights differ from the original's (trained parameters moved by {100 * moved:.2g} %)."
    return Finding("passed", text)


def forgetting(result: AuditResult, row: str, config: AuditConfig) -> Finding:
    """The do-nothing rule, on activation distance and, where only that tells the original apart, on the average gap."""
    if _told_apart(result, "activation_distance"):
        return _closer(result, row, config, "activation_distance", "distance_gain")
    own, original, noise = _beside(result, row, "average_gap")
    if _told_apart(result, "average_gap"):
        text = f"average gap {_points(own)}; the floor ends at {noise.high:.1f}, the original has {_points(original)}"
        return _found(own.value <= noise.high or own.high < original.low, f"{text}.")
    count = result.data["records"]["forget"]
    return Finding(
        "inconclusive",
        f"the unchanged original is within the noise floor (average gap {_points(original)}, floor ends at "
        f"{noise.high:.1f}). With {count} forget records, a gap below {noise.high:.1f} points cannot be told from a "
        "retrained model's.",
    )


def original_shows(result: AuditResult) -> bool:
    """Whether the unchanged original can be told from a gold at all, by one of the two numbers of the rule above."""
    return any(_told_apart(result, metric) for metric in ("activation_distance", "average_gap"))


def inner_layers(result: AuditResult, row: str, config: AuditConfig) -> Finding:
    """The do-nothing rule once more, with a fresh head on every model's body."""
    probed = (result.value(each, "head_distance") for each in (row, ORIGINAL))
    if None in (*probed, result.floor("head_distance")):
        text = "the inner layers were not probed. A change of the last layer alone would not be seen."
        return Finding("inconclusive", text)
    _, original, noise = _beside(result, row, "head_distance")
    if not _told_apart(result, "head_distance"):
        count = result.data["records"]["forget"]
        return Finding(
            "inconclusive",
            f"inner layers, with fresh heads: the unchanged original is within the noise floor (activation distance "
            f"{_distance(original)}, floor ends at {noise.high:.3f}). With {count} forget records, a distance below "
            f"{noise.high:.3f} cannot be told from a retrained model's.",
        )
    found = _closer(result, row, config, "head_distance", "head_distance_gain")
    return found._replace(text=f"inner layers, with fresh heads: {found.text}")


def over_unlearning(result: AuditResult, row: str, config: AuditConfig) -> Finding:
    """UA not far above the golds'."""
    own, _, limit = _allowed(result, row, "ua", config.far_points)
    text = f"UA {_percent(own)}, limit {min(limit, 100):.1f} % (highest gold + {config.far_points:g} points)"
    if own.low > limit:
        text = f"{text}: over-unlearned. The model is wrong far more often than one that never saw the records."
        return Finding("failed", text)
    return _seen(f"{text}.", own)


def membership(result: AuditResult, row: str, config: AuditConfig) -> Finding:
    """Membership AUC not far from the golds', on either side."""
    own, least, most = _allowed(result, row, "membership_auc", config.far_points)
    span = f"{max(least, 0):.1f} to {min(most, 100):.1f} %"
    text = f"membership AUC {_percent(own)}, allowed {span} (golds ± {config.far_points:g} points)"
    if own.high < least:
        return Finding("failed", f"{text}: the forgotten records stand out by low confidence (Streisand effect).")
    if own.low > most:
        return Finding("failed", f"{text}: the forgotten records are still recognised as members.")
    return _seen(f"{text}.", own)


def utility(result: AuditResult, row: str, config: AuditConfig) -> Finding:
    """Test accuracy not far below the weakest gold's."""
    own, limit, _ = _allowed(result, row, "accuracy_test", config.utility_drop_pct)
    text = f"test accuracy {_percent(own)}, limit {limit:.1f} % (weakest gold - {config.utility_drop_pct:g} points)"
    return Finding("failed", f"{text}.") if own.value < limit else _seen(f"{text}.", own)


def sets(result: AuditResult, config: AuditConfig) -> Finding:
    """The models know what they were trained on: otherwise sets or labels are mixed up, and no number means anything.

    The original was trained on the forget set as on the retain set; every gold knows its retain set at least about as
    well as records that it never saw. A forget set that the original never learned is refused as well.
    """
    forget, retain = (result.number(ORIGINAL, f"accuracy_{name}") for name in ("forget", "retain"))
    if forget.high < retain.value / 2:
        return Finding(
            "failed",
            f"the original gets {_percent(forget)} of the forget set right and {_percent(retain)} of the retain set, "
            "though it was trained on both: sets or labels are mixed up, or it never learned what is to be forgotten.",
        )
    for row in (ORIGINAL, *result.golds):
        kept, unseen = (result.number(row, f"accuracy_{name}") for name in ("retain", "test"))
        if kept.high < unseen.low - config.far_points:
            return Finding(
                "failed",
                f"`{row}` gets {_percent(kept)} of its own training records right and {_percent(unseen)} of the test "
                "set: the sets are mixed up.",
            )
    text = f"the models know what they were trained on (original: {_percent(forget)} of the forget set right)."
    return _seen(text, forget, retain, result.number(ORIGINAL, "accuracy_test"))


def _closer(result: AuditResult, row: str, config: AuditConfig, distance: str, gained: str) -> Finding:
    """`distance` within the floor, or `gained` on doing nothing significant and a material part of the way."""
    own, original, noise = _beside(result, row, distance)
    gain = result.number(row, gained)
    text = f"activation distance {_distance(own)}; floor {_distance(noise)}, original {_distance(original)}"
    if own.value <= noise.high:
        return Finding("passed", f"{text}: within the floor.")
    closed = gain.value / (original.value - noise.value)
    text = f"{text}: gained {_distance(gain)} on doing nothing, {100 * closed:.0f} % of the way to the floor"
    if gain.low <= 0:
        return Finding("failed", f"{text}, which is not distinguishable from doing nothing.")
    if closed < config.share_closed:
        return Finding("failed", f"{text}, less than the {100 * config.share_closed:.0f} % asked for.")
    return Finding("passed", f"{text}.")


def _seen(text: str, *values: Value) -> Finding:
    """Passed, unless an interval is so wide that nearly every number would have been allowed."""
    if any(value.high - value.low > BLIND for value in values):
        return Finding("inconclusive", f"{text} There are too few records to tell.")
    return Finding("passed", text)


def _found(ok: bool, text: str) -> Finding:
    return Finding("passed" if ok else "failed", text)


def _beside(result: AuditResult, row: str, metric: str) -> tuple[Value, Value, Value]:
    """A number of the row, of the unchanged original, and of the noise floor."""
    return result.number(row, metric), result.number(ORIGINAL, metric), result.noise(metric)


def _told_apart(result: AuditResult, metric: str) -> bool:
    """Whether the unchanged original lies beyond the noise floor; else the metric cannot tell the two apart."""
    return result.number(ORIGINAL, metric).value > result.noise(metric).high


def _allowed(result: AuditResult, row: str, metric: str, points: float) -> tuple[Value, float, float]:
    """A number of the row, and the ends of what is allowed: the golds' extremes and `points` beyond them."""
    golds = [result.number(gold, metric).value for gold in result.golds]
    return result.number(row, metric), min(golds) - points, max(golds) + points


def _percent(value: Value) -> str:
    return _shown(value, " %")


def _points(value: Value) -> str:
    return _shown(value, " points")


def _distance(value: Value) -> str:
    return _shown(value, "", 3)


def _shown(value: Value, unit: str, digits: int = 1) -> str:
    """Value and unit, interval in brackets."""
    return f"{value.value:.{digits}f}{unit} [{value.low:.{digits}f}, {value.high:.{digits}f}]"
