"""Is the model surer than a retrained one of a forgotten record's class *near* the record? (RURK, arXiv 2601.22359)

See `tmu/audit/probes/residual.py`: ratio of how many noisy views of a record get its class, (hits + 1) / (draws + 1),
averaged over the golds. A mean of ratios lies above 1 by chance, and two golds differ: the golds' rows are the floor.
"""

import numpy as np

from tmu.audit.bootstrap import Value
from tmu.audit.metrics.registry import metric
from tmu.audit.per_record import mean_over, share_of
from tmu.audit.view import Case


def _ratios(case: Case) -> np.ndarray:
    """(hits of the model + 1) / (hits of a gold + 1), (G, n)."""
    return np.stack([(case.model.inside.residual_hits + 1) / (gold.inside.residual_hits + 1) for gold in case.golds])


@metric(
    "residual_knowledge",
    title="residual knowledge",
    unit="ratio",
    better="gold",
    needs_gold=True,
    needs_probes=True,
    meaning="How much more often than a retrained model this one names a forgotten record's class when the picture is slightly noisy; about 1 is a retrain's.",  # noqa: E501
)
def residual_knowledge(case: Case) -> Value:
    """Mean ratio over the probed forget records."""
    largest = case.model.inside.residual_draws + 1.0
    return mean_over(case, _ratios(case).mean(axis=0), (1 / largest, largest))


@metric(
    "residual_share",
    title="records with residual knowledge",
    unit="%",
    better="gold",
    needs_gold=True,
    needs_probes=True,
    meaning="Share of forgotten records near which this model names the class more often than a retrained one; between two retrained ones some do by chance.",  # noqa: E501
)
def residual_share(case: Case) -> Value:
    """Percent of the probed forget records with a ratio above 1, averaged over the golds."""
    return share_of(case, (_ratios(case) > 1).mean(axis=0))
