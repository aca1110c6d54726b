"""Membership attacks with reference models: can a forgotten record be told by being *surer than retrained models are*?

The golds are the reference models: they never saw the forget set ("OUT"), and no model saw the test set. Forget records
are claimed as members against test records by
- RMIA, offline (arXiv 2312.03262): p / [ (1 + a)/2 · mean p_gold + (1 - a)/2 ], a = .3, p the true-class probability.
  With gamma = 1 and the test set as population, the published score ranks as this ratio does (`fleet/rmia.py`);
- LiRA, offline (Carlini et al. 2022): logit-scaled confidence less its mean over the golds, with one variance for all
  records, which changes no rank: a handful of references cannot estimate one a record (`fleet/lira.py`).
Both take out how easy a record is, which hides members from the plain attack of `membership.py`. Each row faces equally
many references (`Case.faced`), a gold the others, so the golds' rows are what is found where nothing was left. Aim: the
golds' number; far below one half stands out, too (Streisand effect). At least two golds. Failure mode: a handful of
references is a weak attacker; 64 and more in and out of every record find more. Cost: one sort a set of references.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from tmu.audit.bootstrap import Value
from tmu.audit.fleet.lira import lira_offline_scores
from tmu.audit.fleet.rmia import rmia_ratios
from tmu.audit.metrics.registry import metric
from tmu.audit.roc import area_value, tpr_value
from tmu.audit.view import Case, View

_Scores = Callable[[View, tuple[View, ...], str], np.ndarray]
_RARER = "The same for 1 in 1,000; with fewer than 1,000 never-seen records none may be accused at all."


def _rmia(model: View, golds: tuple[View, ...], name: str) -> np.ndarray:
    return rmia_ratios(model.confidence[name], np.mean([gold.confidence[name] for gold in golds], axis=0))


def _lira(model: View, golds: tuple[View, ...], name: str) -> np.ndarray:
    references = np.stack([gold.logit_confidence[name] for gold in golds])
    return lira_offline_scores(model.logit_confidence[name], references)


def _sides(case: Case, scores: _Scores) -> tuple[np.ndarray, np.ndarray]:
    """Scores of forget (S, N) and test records (S, M), for each set of golds that the row faces."""
    forget, test = (np.stack([scores(case.model, golds, name) for golds in case.faced]) for name in ("forget", "test"))
    return forget, test


def _register(name: str, title: str, scores: _Scores, *, auc: str, found: str, headline: bool = False) -> None:
    """AUC, and the true-positive rates at false-positive rates of at most 1 % and .1 %, of one attack, in percent."""
    declared = partial(metric, unit="%", better="gold", needs_gold=True)

    @declared(f"{name}_auc", title=f"{title} AUC", headline=headline, meaning=auc)
    def area(case: Case) -> Value:
        return area_value(*_sides(case, scores), case.resamples)

    @declared(f"{name}_tpr_at_1pct_fpr", title=f"{title} TPR at 1 % FPR", meaning=found)
    def rate(case: Case) -> Value:
        return tpr_value(0.01, *_sides(case, scores), case.resamples, case.seed)

    @declared(f"{name}_tpr_at_01pct_fpr", title=f"{title} TPR at 0.1 % FPR", meaning=_RARER)
    def rarer(case: Case) -> Value:
        return tpr_value(0.001, *_sides(case, scores), case.resamples, case.seed)


_register(
    "rmia",
    "RMIA",
    _rmia,
    auc="How well an attacker who owns retrained models tells forgotten from never-seen records: 50 is not at all, far below 50 stands out, too.",  # noqa: E501
    found="Share of forgotten records that RMIA finds when at most 1 in 100 never-seen records may be accused wrongly; about 1 is chance.",  # noqa: E501
    headline=True,
)
_register(
    "lira",
    "LiRA",
    _lira,
    auc="As RMIA AUC, by another score: confidence less what retrained models give on average. One variance for all records, since the golds are too few for one a record.",  # noqa: E501
    found="Share of forgotten records that LiRA (one variance for all) finds at 1 false accusation in 100; about 1 is chance.",  # noqa: E501
)
