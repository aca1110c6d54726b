"""Distributions as rows of the results table, so that figures come from stored results alone.

A distribution is cut into equal bins of 0..1, one row a bin: `density_forget/00` is the share of the records in the
first bin. The last bin holds its right edge. A predictor's reliability is stored in the same way.
"""

import numpy as np

from tmu.errors import DataError

BINS = 20
RELIABILITY_BINS = 10
Row = tuple[str, float, str]  # metric, value, unit


def density_rows(confidence: np.ndarray, name: str = "density_forget") -> list[Row]:
    """Share (0..1) of the records whose true-class `confidence` (N,), 0..1, lies in each of 20 bins: `name`/00, ..."""
    shares = np.bincount(_bins(confidence, BINS), minlength=BINS) / len(confidence)
    return [(f"{name}/{place:02d}", float(share), "share") for place, share in enumerate(shares)]


def reliability_rows(p_wrong: np.ndarray, share_wrong: np.ndarray) -> list[Row]:
    """Per bin of `p_wrong` (N,), 0..1: its mean, the mean of `share_wrong` (N,) and the number of records.

    `share_wrong`: share of the golds (0..1) that get the record wrong. An empty bin has its count of 0 and no means.
    """
    if len(p_wrong) != len(share_wrong):
        raise DataError(
            f"{len(p_wrong)} predictions do not fit {len(share_wrong)} outcomes.", "Give one number a record each."
        )
    places, rows = _bins(p_wrong, RELIABILITY_BINS), []
    for place in range(RELIABILITY_BINS):
        here = places == place
        rows.append((f"reliability/count/{place:02d}", float(here.sum()), "records"))
        if here.any():
            rows.append((f"reliability/predicted/{place:02d}", float(np.mean(p_wrong[here])), "share"))
            rows.append((f"reliability/observed/{place:02d}", float(np.mean(share_wrong[here])), "share"))
    return rows


def _bins(values: np.ndarray, bins: int) -> np.ndarray:
    """The bin (N,) of each value; DataError for no values, NaN, or values outside 0..1 (beyond rounding)."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0:
        raise DataError("There are no records to count in bins.", "Give one number for each of one or more records.")
    if not ((values >= -1e-6) & (values <= 1 + 1e-6)).all():
        raise DataError("A probability lies outside 0 to 1.", "Give probabilities: the softmax, not the logits.")
    return np.clip((values * bins).astype(int), 0, bins - 1)
