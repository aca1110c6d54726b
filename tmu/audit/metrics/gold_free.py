"""RF-JSD: how near to forgotten the model looks without any retrained model (LoTUS, CVPR 2025).

Per class c: JSD( mean probabilities of the model over the forget records of c || mean probabilities of the *original*
over never-seen records of c ), averaged over the classes in both sets. JSD = KL(p||m)/2 + KL(q||m)/2, m = (p + q)/2, in
nats, 0..ln 2, shown in units of 1e-4 nats. The public code computes KL(m||p) and divides by the number of classes once
more: its magnitudes are not these. Lower is better; the floor is the golds' own rows, and do nothing is the original's.
Failure modes: means over a class hide single records; few records of a class raise it (the floor shares that). It uses
the test set, so it may be reported, but nothing may be chosen by it.
"""

import numpy as np
from scipy.special import rel_entr

from tmu.audit.bootstrap import Value, interval
from tmu.audit.metrics.registry import metric
from tmu.audit.view import Case

_SCALE = 1e4
_TINY = 1e-300


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """JSD (...,), nats, 0..ln 2, of probabilities (..., K)."""
    p, q = (np.where(side > _TINY, side, 0.0) for side in (p, q))  # so that the middle cannot round to nothing
    middle = (p + q) / 2
    return np.maximum((rel_entr(p, middle) + rel_entr(q, middle)).sum(axis=-1) / 2, 0.0)


def _classes(case: Case) -> np.ndarray:
    labels = case.model.sets.labels
    return np.intersect1d(labels["forget"], labels["test"])


@metric(
    "rf_jsd",
    title="RF-JSD",
    unit="1e-4 nats",
    better="lower",
    needs_original=True,
    defined=lambda case: len(_classes(case)) > 0,
    meaning="How far answers on forgotten records are from the original's on never-seen records of the same class; needs no retrained model, but uses the test set: only for reporting.",  # noqa: E501
)
def rf_jsd(case: Case) -> Value:
    """Class average of JSD in 1e-4 nats. The interval resamples forget records within each class.

    Resampling raises a divergence as few records do; that mean shift is taken off, so that the interval is about the
    value and not above it.
    """
    labels, rng = case.model.sets.labels, np.random.default_rng(case.seed)
    own, original = case.model.probabilities["forget"], case.untouched.probabilities["test"]
    classes = _classes(case)
    value, resampled = 0.0, np.zeros(case.resamples)
    for each in classes:
        forgotten, unseen = own[labels["forget"] == each], original[labels["test"] == each].mean(axis=0)
        n = len(forgotten)
        weights = rng.multinomial(n, np.full(n, 1 / n), size=case.resamples) / n  # (R, n): one matrix product
        value += float(jensen_shannon(forgotten.mean(axis=0), unseen)) / len(classes)
        resampled += jensen_shannon(weights @ forgotten, unseen) / len(classes)
    resampled += value - resampled.mean()
    records = int(np.isin(labels["forget"], classes).sum())
    return interval(_SCALE * value, _SCALE * resampled, records, (0.0, _SCALE * float(np.log(2))))
