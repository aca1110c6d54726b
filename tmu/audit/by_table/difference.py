"""The difference attack (`tmu/audit/difference.py`) where there are no golds: original and unlearned model, by record.

The floor is what an exact retrain would give away, in its place the references that never saw a record: the original's
margin less theirs, forgotten against never-seen records, averaged over the pairs. They learned half of the people, and
from other initial weights, so that their answers scatter more about the original's than those of a model that was
unlearned from it: the floor is a lower one than a gold's.
"""

from dataclasses import dataclass

import numpy as np

from tmu.audit.bootstrap import Value
from tmu.audit.by_table.case import TableCase
from tmu.audit.by_table.layer import Layer, Side
from tmu.audit.difference import Pair, drop_auc, learned_auc, learned_possible, sentence
from tmu.audit.roc import area_value


@dataclass(frozen=True)
class Difference:
    """AUC in percent. drop, learned: against never-seen records; staying: against the sample of those who stay."""

    drop: Value
    staying: Value
    learned: Value | None
    floor: Value

    @property
    def sentence(self) -> str:
        """The rule of old versions, with its number."""
        return sentence(self.drop, self.floor)


def difference_of(case: TableCase, layer: Layer) -> Difference:
    """What both models together tell of the request's records."""
    forget, retain, test = (
        Pair(part.logits["original"], part.logits["unlearned"], part.labels) for part in case.parts.values()
    )
    resamples = case.config.bootstrap
    many = learned_possible(len(forget.labels), len(test.labels))
    return Difference(
        drop=drop_auc(forget, test, resamples),
        staying=drop_auc(forget, retain, resamples),
        learned=learned_auc(forget, test, resamples, case.seed) if many else None,
        floor=area_value(_by_pair(layer.forget), _by_pair(layer.test), resamples),
    )


def _by_pair(side: Side) -> np.ndarray:
    """The drop (R, N) from the original to each pair's network that did not learn the record."""
    return (side.margins["original"][:, None] - side.unseen).T
