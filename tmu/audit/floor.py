"""The noise floor of every number: what the golds score, each measured against the others.

Value: mean over the golds. Ends: the lowest and the highest end of their intervals, so that records and training seeds
both count, and no gold of the audit lies outside its own floor. With two golds the pair is one comparison.
"""

from collections.abc import Sequence
from typing import Any

Cell = dict[str, float] | None


def floor_of(rows: Sequence[dict[str, Any]], golds: Sequence[str], metric: str) -> Cell:
    """Mean and envelope of the golds' cells as JSON; None where no gold has this number."""
    cells = [row["metrics"][metric] for row in rows if row["name"] in golds]
    known = [cell for cell in cells if cell is not None]
    if not known:
        return None
    return {
        "value": sum(cell["value"] for cell in known) / len(known),
        "low": min(cell["low"] for cell in known),
        "high": max(cell["high"] for cell in known),
    }
