"""What the evidence could have shown on this very request: is the untouched original convicted, and how small a rest?

The effect is stated as a lift: nats added to the logit-scaled confidence of every forgotten record under networks that
never saw it. The smallest one that would be convicted at 1 % with a chance of 80 % is found by bisection, and so is the
lift that gives as much evidence as the original. Failure mode: members are not lifted by a constant, so that the two
lifts compare sizes and are no model of memory.
"""

from dataclasses import dataclass, replace

from tmu.audit.by_table.attack import Attack, Records
from tmu.audit.by_table.law import LEVEL, Law, Sums, by_person

CHANCE = 0.8
_MOST = 24.0  # nats: from surely wrong to surely right


@dataclass(frozen=True)
class Power:
    """convicted: whether the original is, at 1 %; p_value: its own.

    smallest, original: lifts in nats, None where none up to 24 gives as much evidence. share: the smallest effect as a
    share of the original's own evidence, None where that is not above 0.
    """

    convicted: bool
    p_value: float
    smallest: float | None
    original: float | None
    share: float | None

    def corrected(self, scores: int) -> "Power":
        """With the original's p-value multiplied by the number of scores among which this one was chosen."""
        p_value = min(1.0, scores * self.p_value)
        return replace(self, p_value=p_value, convicted=p_value <= LEVEL)


def power_of(attack: Attack, law: Law, original: Records) -> Power:
    """Of the whole request; original: its records under the original."""
    from scipy.special import ndtri

    own = by_person(original).together()
    needed = float((law.threshold(own)[0] + ndtri(CHANCE)) * law.deviation(own)[0])
    found, p_value = float(own.evidence[0]), float(law.p_value(own)[0])
    return Power(
        convicted=p_value <= LEVEL,
        p_value=p_value,
        smallest=_lift_for(attack, needed),
        original=_lift_for(attack, found) if found > 0 else None,
        share=needed / found if found > 0 else None,
    )


def _lift_for(attack: Attack, evidence: float) -> float | None:
    """The lift in nats that raises T of the whole request by `evidence`."""
    start = _total(attack, 0.0)

    def gained(nats: float) -> float:
        return float((_total(attack, nats).evidence - start.evidence)[0])

    if gained(_MOST) < evidence:
        return None
    low, high = 0.0, _MOST
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if gained(middle) >= evidence else (middle, high)
    return high


def _total(attack: Attack, nats: float) -> Sums:
    return by_person(attack.never_lifted(nats)).together()
