"""The numbers of the rules as words."""

from tmu.audit.bootstrap import Value
from tmu.audit.by_table.membership import Membership
from tmu.audit.by_table.utility import Lost

HALF = 0.5  # of the original's evidence is left by a deletion done by half


def original_text(found: Membership) -> str:
    """The original's evidence and its p."""
    return f"{float(found.request['original'].evidence[0]):+.1f} (p {p_text(found.power.p_value)})"


def left_text(found: Membership) -> str:
    """How much of the original's evidence is left, in brackets."""
    return "" if found.left is None else f" ({100 * found.left:.0f} % of the original's evidence is left)"


def sees_half(found: Membership) -> bool:
    """Whether a deletion done by half would be seen."""
    return found.power.share is not None and found.power.share <= HALF


def smallest_text(found: Membership) -> str:
    """The power in a sentence."""
    power = found.power
    if power.smallest is None:
        return "No effect could have been shown on so few records."
    half = "" if power.share is None or not power.convicted else _half(sees_half(found))
    share = f" ({100 * power.share:.0f} % of the original's evidence)" if power.share else ""
    return f"A lift of {power.smallest:.1f} nats on every record would be seen in 8 of 10 cases{share}{half}."


def _half(seen: bool) -> str:
    return f", a deletion done by half {'too' if seen else 'not reliably'}"


def points(lost: Lost) -> str:
    """Accuracy lost, with its interval."""
    value = lost.lost
    return f"{value.value:.1f} points lost [{value.low:.1f}, {value.high:.1f}]"


def percent(value: Value) -> str:
    """A share with its interval."""
    return f"{value.value:.1f} % [{value.low:.1f}, {value.high:.1f}]"


def shown(value: Value) -> str:
    """A distance with its interval."""
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


def p_text(value: float) -> str:
    """A p-value."""
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"
