"""Numbers of a case that are a mean over its records, with the interval that its seed and resamples give."""

import numpy as np

from tmu.audit.bootstrap import Value, mean_value
from tmu.audit.view import Case


def mean_over(case: Case, per_record: np.ndarray, span: tuple[float, float]) -> Value:
    """Mean of per-record numbers (N,), each within `span`."""
    return mean_value(per_record, span, case.resamples, case.seed)


def share_of(case: Case, hits: np.ndarray) -> Value:
    """Percent of the records that `hits` (N,) names: bool, or a share 0..1 where it is averaged over golds."""
    return mean_over(case, 100.0 * hits, (0.0, 100.0))
