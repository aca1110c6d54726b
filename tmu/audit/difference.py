"""The difference attack: what the model before a deletion and the model after it tell together about who was deleted.

Chen et al. 2021, "When Machine Unlearning Jeopardizes Privacy" (arXiv 2005.02205): whoever holds both models compares
their answers on a record. A deleted record lost confidence; one that neither model ever learned did not. Each model
alone may look as if it had never seen the record, and an exact retrain is no defence: it loses the most.

Two attacks on N records, positive where a record was deleted, negative where it was never learned:

    drop      logit-scaled confidence in the true class before, less the same after: needs no training
    learned   a logistic classifier on the pair: both margins, their difference and the distance of the answers; it is
              cross-fitted on the audited records, as an attacker would on people whose deletion is public

An attack finds at least as much as is shown: another one may find more. Cost: one sort, and five small fits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tmu.audit.bootstrap import Value
from tmu.audit.outputs import logit_confidence, softmax
from tmu.audit.roc import area_value

RULE = "Old versions are not to be handed out, and copies of them are to be deleted"
_FOLDS = 5
_LEAST = 2 * _FOLDS  # records of a side, for the learned attack


@dataclass(frozen=True, eq=False)
class Pair:
    """What two models say of N records: logits (N, K) before and after, and true classes int64 (N,)."""

    before: np.ndarray
    after: np.ndarray
    labels: np.ndarray

    @property
    def margins(self) -> tuple[np.ndarray, np.ndarray]:
        """Logit-scaled confidence in the true class (N,), before and after."""
        before, after = (logit_confidence(logits, self.labels) for logits in (self.before, self.after))
        return before, after

    def drop(self) -> np.ndarray:
        """The score of the untrained attack (N,)."""
        before, after = self.margins
        return before - after

    def features(self) -> np.ndarray:
        """What the learned attack sees (N, 4): both margins, the drop, the L2 distance of the probabilities."""
        before, after = self.margins
        moved = np.linalg.norm(softmax(self.before) - softmax(self.after), axis=1)
        return np.stack([before, after, before - after, moved], axis=1)


def drop_auc(deleted: Pair, never: Pair, resamples: int) -> Value:
    """AUC of the untrained attack in percent: 50 tells nothing."""
    return area_value(deleted.drop()[None], never.drop()[None], resamples)


def learned_possible(deleted: int, never: int) -> bool:
    """Whether there are records enough to cross-fit the learned attack."""
    return min(deleted, never) >= _LEAST


def learned_auc(deleted: Pair, never: Pair, resamples: int, seed: int) -> Value:
    """AUC of the learned attack in percent; each record is scored by a fit that did not see it."""
    known = np.concatenate([deleted.features(), never.features()])
    scores = _cross_fitted(known, np.repeat([1, 0], [len(deleted.labels), len(never.labels)]), seed)
    return area_value(scores[None, : len(deleted.labels)], scores[None, len(deleted.labels) :], resamples)


def _cross_fitted(features: np.ndarray, deleted: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scores = np.zeros(len(deleted))
    for fit, rest in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(features, deleted):
        attack = make_pipeline(StandardScaler(), LogisticRegression()).fit(features[fit], deleted[fit])
        scores[rest] = attack.decision_function(features[rest])
    return scores


@dataclass(frozen=True)
class Composition:
    """What T + 1 versions in a row tell together. AUC in percent.

    steps: of each deletion, by the two versions around it. together: of all deleted records, whoever has every version.
    placed: share of the deleted records whose largest drop is at their own deletion; chance is 1 / T.
    """

    steps: tuple[Value, ...]
    together: Value
    placed: float


def composition(logits: Sequence[np.ndarray], labels: np.ndarray, deleted: np.ndarray, resamples: int) -> Composition:
    """The attack over a sequence of deletions, such as twenty.

    logits: (N, K) of each version on the same records, oldest first. labels: int64 (N,). deleted: int (N,), the number
    of the deletion, from 1 on, that took the record; 0 where no version ever learned it. Drops of one step are brought
    to the mean and spread that never-learned records have there, so that steps of different size compare; the score of
    a record is its largest. Raises ValueError for fewer than two versions, or a deletion without a record.
    """
    margins = np.stack([logit_confidence(each, labels) for each in logits])
    drops = margins[:-1] - margins[1:]  # (T, N)
    never, taken = deleted == 0, deleted > 0
    counts = np.bincount(deleted, minlength=len(drops) + 1)
    if len(drops) < 1 or len(counts) != len(drops) + 1 or not counts.all():
        raise ValueError("each deletion needs the versions around it, a record it took, and never-learned records")
    spread = np.maximum(drops[:, never].std(axis=1, keepdims=True), 1e-9)
    scaled = (drops - drops[:, never].mean(axis=1, keepdims=True)) / spread
    steps = tuple(
        area_value(drop[None, deleted == step], drop[None, never], resamples) for step, drop in enumerate(drops, 1)
    )
    largest = scaled.max(axis=0)
    return Composition(
        steps=steps,
        together=area_value(largest[None, taken], largest[None, never], resamples),
        placed=float((scaled.argmax(axis=0) + 1 == deleted)[taken].mean()),
    )


def sentence(found: Value, floor: Value | None) -> str:
    """The rule, with the number behind it. floor: what a retrain beside the original would tell."""
    beside = ""
    if floor:
        beside = f"; of an exact retrain with {floor.value:.1f} % [{floor.low:.1f}, {floor.high:.1f}]"
    return (
        f"{RULE}: whoever has the model before and the model after can tell a deleted record from one that was never "
        f"learned with an AUC of {found.value:.1f} % [{found.low:.1f}, {found.high:.1f}], 50 % being a guess{beside}."
    )
