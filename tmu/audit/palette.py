"""One colour per role in every figure, from the colour-blind-safe set of Okabe and Ito (2008)."""

from tmu.audit.table import ORIGINAL, RANDOM_CHOICE

INK = "#1F2328"
QUIET = "#6E7781"
GRID = "#E4E7EB"
GOLD = "#E69F00"
_FURTHER_GOLD = "#8A6100"
_FIXED = {ORIGINAL: "#4D4D4D", RANDOM_CHOICE: "#CC79A7"}
BLUE, GREEN, VERMILION, SKY = _METHODS = ("#0072B2", "#009E73", "#D55E00", "#56B4E9")


def colours(rows: list[str], golds: list[str]) -> dict[str, str]:
    """Colour by row name: the reference gold, further golds, the control rows, then the methods in order."""
    chosen = {golds[0]: GOLD, **dict.fromkeys(golds[1:], _FURTHER_GOLD), **_FIXED}
    methods = [row for row in rows if row not in chosen]
    for place, row in enumerate(methods):
        chosen[row] = _METHODS[place % len(_METHODS)]
    return chosen
