"""Who pays for the forgetting? The class whose test accuracy fell most against the golds.

max over classes of [ accuracy of the golds (mean) - accuracy of the model ] on test records of the class, percentage
points, at least 0. Lower is better. A maximum is above 0 by chance, the more so with many classes of few records: read
it against the further golds' rows, which are the floor. Cost: one bootstrap a class.
"""

import numpy as np

from tmu.audit.bootstrap import Value, average, interval, resampled_means
from tmu.audit.metrics.registry import metric
from tmu.audit.view import Case, View


@metric(
    "worst_class_drop",
    title="worst class drop",
    unit="pts",
    better="lower",
    needs_gold=True,
    meaning="How far the accuracy of the worst hit class lies below the retrained models': who pays for the forgetting. Some drop is chance: compare with the second gold.",  # noqa: E501
)
def worst_class_drop(case: Case) -> Value:
    """Largest drop of a class's test accuracy; paired by record, resampled within each class.

    A resampled maximum lies higher by chance once more; that mean shift is taken off the interval.
    """
    return average([_worst_drop(case, golds) for golds in case.faced])


def _worst_drop(case: Case, golds: tuple[View, ...]) -> Value:
    labels, rng = case.model.sets.labels["test"], np.random.default_rng(case.seed)
    expected = np.mean([gold.correct["test"] for gold in golds], axis=0)
    drops = 100.0 * (expected - case.model.correct["test"])
    classes, sizes = np.unique(labels, return_counts=True)
    by_class = [drops[labels == each] for each in classes]
    means = np.array([each.mean() for each in by_class])
    resampled = np.max([resampled_means(each[:, None], case.resamples, rng)[:, 0] for each in by_class], axis=0)
    worst = int(means.argmax())
    value = float(max(means[worst], 0.0))
    resampled += value - resampled.mean()
    return interval(value, resampled, int(sizes[worst]), (0.0, 100.0))
