"""What the deletion cost the others: accuracy lost against the original, paired by record. No gold is needed.

On the test set, overall and by class; on the sample of people who stay, and on its most exposed tenth: the records of
which the references that learned them are so much surer than the others that they live by memory. Percentage points,
above 0: lost.
"""

from dataclasses import dataclass

import numpy as np

from tmu.audit.bootstrap import Value, mean_value
from tmu.audit.by_table.case import Part, TableCase
from tmu.audit.by_table.layer import Layer

EXPOSED = 0.1


@dataclass(frozen=True)
class Lost:
    """Points of accuracy lost, with the number of records."""

    lost: Value
    records: int


@dataclass(frozen=True)
class Utility:
    """accuracy: percent by model and part. classes: of the test set; a class that goes as a whole is left out."""

    accuracy: dict[str, dict[str, Value]]
    test: Lost
    retain: Lost
    exposed: Lost
    classes: dict[int, Lost]


def utility_of(case: TableCase, layer: Layer) -> Utility:
    """Both models on the three parts."""
    staying = set(np.unique(case.retain.labels))
    gone = set(np.unique(case.forget.labels)) - staying
    labels = case.test.labels
    stays = ~np.isin(labels, list(gone))
    lift = (layer.retain.seen - layer.retain.unseen).mean(1)
    exposed = np.argsort(-lift, kind="stable")[: max(1, round(EXPOSED * len(lift)))]
    return Utility(
        accuracy={
            name: {
                model: mean_value(100.0 * _right(part, model), (0.0, 100.0), case.config.bootstrap, case.seed)
                for model in part.logits
            }
            for name, part in case.parts.items()
        },
        test=_lost(case, case.test, stays if stays.any() else slice(None)),
        retain=_lost(case, case.retain, slice(None)),
        exposed=_lost(case, case.retain, exposed),
        classes={int(each): _lost(case, case.test, labels == each) for each in np.unique(labels) if each not in gone},
    )


def _right(part: Part, model: str) -> np.ndarray:
    return part.logits[model].argmax(1) == part.labels


def _lost(case: TableCase, part: Part, rows: np.ndarray | slice) -> Lost:
    lost = 100.0 * (_right(part, "original").astype(float) - _right(part, "unlearned"))[rows]
    return Lost(mean_value(lost, (-100.0, 100.0), case.config.bootstrap, case.seed), len(lost))
