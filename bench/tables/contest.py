"""Who is best in one number on one forget set, and who cannot be told from the best.

Methods compete that have the number on every seed of the forget set; golds and controls are beside them, not among
them. Tied is a method whose difference to the best, paired by seed, has a 95 % interval that holds 0 (Student's t, not
corrected for the number of comparisons). With one seed nothing has an interval and only equal numbers are tied.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from bench.statistics import Estimate, over_seeds, paired
from bench.tables.cells import GOLD, Cells, Values
from bench.tables.columns import Column


@dataclass(frozen=True)
class Contest:
    """`scores`: by method, value by seed, lower is better. `incomplete`: methods that lack seeds, or refused."""

    scores: dict[str, Values]
    best: str | None
    tied: tuple[str, ...]
    incomplete: tuple[str, ...]

    @property
    def winners(self) -> frozenset[str]:
        """The best and those tied with it."""
        return frozenset(self.tied) | ({self.best} if self.best else frozenset())

    def behind(self, method: str) -> Estimate:
        """By how much `method` scores above the best (worse), paired by seed."""
        return paired(self.scores[method], self.scores[self.best])


def contest(cells: Cells, forget_set: str, column: Column) -> Contest:
    """Best and tied-best of a column; `best` is None where no method has the number on every seed."""
    seeds, scores, incomplete = cells.seeds(forget_set), {}, []
    for method in cells.methods(forget_set):
        found = score(cells, forget_set, method, column)
        if seeds and all(seed in found for seed in seeds):
            scores[method] = {seed: found[seed] for seed in seeds}
        else:
            incomplete.append(method)
    if not scores:
        return Contest({}, None, (), tuple(incomplete))
    best = min(scores, key=lambda method: over_seeds(scores[method]).mean)
    tied = tuple(method for method in scores if method != best and _tied(paired(scores[method], scores[best])))
    return Contest(scores, best, tied, tuple(incomplete))


def _tied(difference: Estimate) -> bool:
    return difference.mean == 0 or difference.low <= 0


def score(cells: Cells, forget_set: str, row: str, column: Column) -> Values:
    """A row's value by seed, turned so that lower is better; where the gold's number is the aim, the distance to it."""
    found = cells.values(forget_set, row, column.metric)
    if column.better == "gold":
        gold = cells.values(forget_set, GOLD, column.metric)
        return {seed: abs(value - gold[seed]) for seed, value in found.items() if seed in gold}
    return {seed: -value if column.better == "higher" else value for seed, value in found.items()}


def mean_ranks(cells: Cells, column: Column) -> dict[str, tuple[Estimate, int]]:
    """By method: its rank (1 is best) averaged over forget sets, with interval over seeds, and the number of sets.

    Ranks are taken within seed and forget set among the methods that compete there; one that refused on all or some
    seeds shares the last ranks, so that refusing does not pay. Only seeds that all sets of a method have are used.
    """
    found: dict[str, dict[int, list[float]]] = {}
    sets: dict[str, int] = {}
    for forget_set in cells.forget_sets():
        for method, ranks in _ranks(cells, forget_set, column).items():
            sets[method] = sets.get(method, 0) + 1
            for seed, rank in ranks.items():
                found.setdefault(method, {}).setdefault(seed, []).append(rank)
    whole = {m: {s: float(np.mean(r)) for s, r in by.items() if len(r) == sets[m]} for m, by in found.items()}
    return {method: (over_seeds(ranks), sets[method]) for method, ranks in whole.items() if ranks}


def _ranks(cells: Cells, forget_set: str, column: Column) -> dict[str, Values]:
    held = contest(cells, forget_set, column)
    if not held.scores:
        return {}
    refusing = [method for method in held.incomplete if cells.refused(forget_set, method)]
    methods, seeds = [*held.scores, *refusing], cells.seeds(forget_set)
    scores = np.array([[held.scores.get(m, {}).get(seed, np.inf) for seed in seeds] for m in methods])
    ranks = rankdata(scores, axis=0)
    return {
        method: dict(zip(seeds, map(float, line), strict=True)) for method, line in zip(methods, ranks, strict=True)
    }
