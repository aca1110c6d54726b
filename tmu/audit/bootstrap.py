"""95 % intervals by resampling records.

Percentile bootstrap over records, expanded for small sets. The interval speaks about *which records* were drawn; how
much a retrain differs from the next is another spread, shown by the second gold (the noise floor).
Cost: 1,000 resamples of 10,000 records take about a tenth of a second; of yes/no values, a millisecond.
"""

from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
_TAIL = (1 - LEVEL) / 2
_FEW = 64  # distinct rows up to which counts are drawn instead of records: the same distribution, far cheaper
_BLOCK = 2**22  # numbers held at once


@dataclass(frozen=True)
class Value:
    """A number with its 95 % interval: low <= value <= high, all finite."""

    value: float
    low: float
    high: float


def blocks(resamples: int, width: int) -> list[int]:
    """Numbers of resamples to draw at a time so that a block of `width` columns stays small."""
    step = max(1, _BLOCK // max(width, 1))
    return [min(step, resamples - at) for at in range(0, resamples, step)]


def resampled_means(values: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Column means (R, M) of R resamples, with replacement, of the rows of `values` (N, M)."""
    n = len(values)
    rows, counts = np.unique(values, axis=0, return_counts=True)
    if len(rows) <= _FEW:
        return rng.multinomial(n, counts / n, size=resamples) @ rows / n
    return np.concatenate(
        [values[rng.integers(0, n, (drawn, n))].mean(axis=1) for drawn in blocks(resamples, values.size)]
    )


def interval(value: float, resampled: np.ndarray, records: int, span: tuple[float, float]) -> Value:
    """The 95 % interval of `value` from resampled values (R,), for `records` records and a number within `span`.

    The percentile interval is too narrow for few records; it is expanded by t / z * sqrt(n / (n - 1)) (Hesterberg
    2015, "What teachers should know about the bootstrap", 3.3). Where resampling shows no spread at all (one record,
    or all alike) the rule of three speaks: with 97.5 % confidence a share of at most 1 - 0.025^(1/n) of further
    records is unlike those seen, and each of them could lie at the end of the span.
    """
    from scipy.special import ndtri, stdtrit

    low, high = np.percentile(resampled, [100 * _TAIL, 100 * (1 - _TAIL)])
    low, high = min(low, value), max(high, value)
    if records > 1:
        stretch = stdtrit(records - 1, 1 - _TAIL) / ndtri(1 - _TAIL) * np.sqrt(records / (records - 1))
        low, high = value - (value - low) * stretch, value + (high - value) * stretch
    if records == 1 or high - low < 1e-12 * (span[1] - span[0]):
        unseen = 1 - _TAIL ** (1 / records)
        low = min(low, value - unseen * (value - span[0]))
        high = max(high, value + unseen * (span[1] - value))
    return Value(float(value), float(max(low, span[0])), float(min(high, span[1])))


def mean_value(per_record: np.ndarray, span: tuple[float, float], resamples: int, seed: int) -> Value:
    """Mean of per-record numbers (N,), each within `span`, with its interval."""
    rng = np.random.default_rng(seed)
    means = resampled_means(per_record[:, None].astype(np.float64), resamples, rng)[:, 0]
    value = min(max(float(per_record.mean()), span[0]), span[1])
    return interval(value, means, len(per_record), span)


def average(values: list[Value]) -> Value:
    """The mean of numbers of the same records; their ends are averaged, too, as if they always erred together."""
    return Value(*(float(np.mean([getattr(each, end) for each in values])) for end in ("value", "low", "high")))


def absolute(signed: Value) -> Value:
    """|value| with the signed interval folded at zero (0 is inside as soon as the signed interval straddles it)."""
    ends = abs(signed.low), abs(signed.high)
    low = 0.0 if signed.low <= 0 <= signed.high else min(ends)
    return Value(abs(signed.value), low, max(ends))
