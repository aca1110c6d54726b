"""How well a linear discriminant tells two sets of records apart within their classes, and whether by chance alone.

The classifier of the two-sample test in `shift.py`: ridge regression on group membership, class means taken out of
both sides, which is Fisher's discriminant with a ridge. Its closed form lets a permutation fit it anew for the price of
a matrix product. Source: Lopez-Paz and Oquab, arXiv 1610.06545 (classifier two-sample tests).
"""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

_RIDGE = 0.1  # of the number of records, on standardised columns
_FOLDS = 5


def class_centred(features: Tensor, labels: Tensor) -> Tensor:
    """Columns (N, F + 1) with class means taken out, in units of their spread; the last is the distance from the mean.

    features (N, F) of both groups together; labels (N,). Which record is of which group plays no part.
    """
    classes = int(labels.max()) + 1
    x = _centred(features.double(), labels, classes)
    x = x / x.std(0).clamp_min(1e-9)
    far = _centred(x.norm(dim=1, keepdim=True), labels, classes)
    return torch.cat([x, far / far.std().clamp_min(1e-9)], dim=1)


def cross_scores(x: Tensor, labels: Tensor, groups: Tensor, generator: torch.Generator) -> Tensor:
    """Scores (N, P), larger where the record looks like group 1, each from folds without the record.

    x (N, F): `class_centred` columns. groups (N, P): 1 or 0; every column is a labelling of its own.
    """
    fold = _folds(labels, generator)
    scores = torch.zeros(groups.shape, dtype=torch.double)
    classes = int(labels.max()) + 1
    for number in range(_FOLDS):
        fitted, held = fold != number, fold == number
        rows = x[fitted]
        goal = _centred(groups[fitted].double(), labels[fitted], classes)
        gram = rows.T @ rows + _RIDGE * len(rows) * torch.eye(rows.shape[1], dtype=torch.double)
        scores[held] = x[held] @ torch.linalg.solve(gram, rows.T @ goal)
    return scores


def permuted(labels: Tensor, groups: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Labellings (N, 1 + count): the given one (N,), then others with the same numbers in every class."""
    columns = groups[:, None].repeat(1, 1 + count)
    for label in labels.unique():
        rows = torch.nonzero(labels == label)[:, 0]
        shuffled = torch.rand(len(rows), count, generator=generator).argsort(0)
        columns[rows, 1:] = groups[rows][shuffled]
    return columns


def stratified_auc(scores: Tensor, labels: Tensor, groups: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean over group 1 of the share of group 0's weight, in the same class, that scores lower: (P,), 0.5 by chance.

    scores, groups (N, P); weights (N,) of group 0 (default: equal). Ties fall as the rows lie: shuffle them first.
    """
    weights = torch.ones(len(labels), dtype=torch.double) if weights is None else weights.double()
    total, members = torch.zeros(scores.shape[1], dtype=torch.double), groups.sum(0)
    for label in labels.unique():
        rows = labels == label
        order = scores[rows].argsort(0)
        first = groups[rows].gather(0, order).double()
        mass = weights[rows][order] * (1 - first)
        total += (first * mass.cumsum(0)).sum(0) / mass.sum(0).clamp_min(1e-12)
    return total / members


def _centred(columns: Tensor, labels: Tensor, classes: int) -> Tensor:
    member = one_hot(labels, classes).double()
    means = (member.T @ columns) / member.sum(0).clamp_min(1)[:, None]
    return columns - means[labels]


def _folds(labels: Tensor, generator: torch.Generator) -> Tensor:
    """A fold (N,) for each record, even over the classes and blind to the groups."""
    fold = torch.empty(len(labels), dtype=torch.long)
    for label in labels.unique():
        rows = torch.nonzero(labels == label)[:, 0]
        fold[rows[torch.randperm(len(rows), generator=generator)]] = torch.arange(len(rows)) % _FOLDS
    return fold
