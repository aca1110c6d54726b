"""KLoM: do unlearned models give each record the margins that retrained models (oracles) give it?

Per record: KL( histogram of the oracles' margins || histogram of the unlearned models' margins ), in nats, 20 equal
bins; reported as mean and 95th percentile over records (arXiv 2410.23232, 2602.16400). 0 is best, lower is better.
The margin z_y - logsumexp of the other logits is `tmu.audit.outputs.logit_confidence`.
As published: margins clipped to +-100, bins between the joint minimum and maximum, where the oracles have mass the
unlearned share is at least 1e-5 and the shares sum to 1 again (so the largest value is a little over 11.5).
Unlike the public code: the last bin is closed on the right, so that no sample falls out, and the direction is the
name. A joint range hides how far apart two fleets are; with `span` the bins are the same for every record and pair.
Floor: never 0. Two fleets of the same law score 0.35 with 100 models a side and 0.15 with 200. Read it beside what a
second, independent fleet of as many oracles scores in the unlearned models' place.
Cost: one pass, O(models x records). Failure mode: a few models a side say little; 100 are published.
"""

import numpy as np

from tmu.audit.fleet.sides import check_sides
from tmu.errors import DataError

BINS = 20
CLIP = 100.0
SMALLEST_SHARE = 1e-5


def klom_oracle_vs_unlearned(
    oracle: np.ndarray, unlearned: np.ndarray, *, span: tuple[float, float] | None = None
) -> np.ndarray:
    """KL(oracle || unlearned) per record (N,), nats, of margins (A, N) and (B, N).

    `span`: the fixed-range variant; margins beyond it count in its end bins. None: the record's joint range, which is
    comparable with published numbers. Raises DataError for sides that do not fit or an empty span.
    """
    check_sides(oracle, unlearned)
    if span is not None and not span[0] < span[1]:
        raise DataError(f"The range of margins {span} is empty.", "Give a lower and a higher end.")
    lowest, highest = span or (-CLIP, CLIP)
    sides = [np.clip(side.astype(np.float64), lowest, highest) for side in (oracle, unlearned)]
    if span is None:
        low = np.minimum(*(side.min(axis=0) for side in sides))
        high = np.maximum(*(side.max(axis=0) for side in sides))
    else:
        low, high = (np.full(oracle.shape[1], float(end)) for end in span)
    edges = np.linspace(low, np.where(high > low, high, low + 1), BINS + 1)  # (21, N)
    p, q = (_shares(side, edges) for side in sides)
    q = np.where(p > 0, np.maximum(q, SMALLEST_SHARE), q)
    q /= q.sum(axis=0)
    mass = p > 0
    logs = np.log(np.where(mass, p, 1.0)) - np.log(np.where(mass, q, 1.0))
    return np.maximum((p * logs).sum(axis=0), 0.0)


def _shares(margins: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Share of the models (A, N) in each bin, (20, N); bins [a, b), the last one closed, as in `numpy.histogram`."""
    records = margins.shape[1]
    place = ((margins - edges[0]) / (edges[-1] - edges[0]) * BINS).astype(np.int64).clip(0, BINS - 1)
    column = np.arange(records)
    place -= margins < edges[place, column]  # the division rounds; the edges decide
    place += (margins >= edges[place + 1, column]) & (place < BINS - 1)
    counts = np.bincount((place * records + column).ravel(), minlength=BINS * records).reshape(BINS, records)
    assert (counts.sum(axis=0) == len(margins)).all()
    return counts / len(margins)
