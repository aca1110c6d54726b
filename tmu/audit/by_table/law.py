"""Evidence that records are known to a model, and its law where nobody is.

Evidence of a person, or of the whole request: T = sum d / sqrt(sum s^2) over the records, d a score's distance from its
mean where nobody is known and s its spread (`attack.py`). Where the records are independent and unknown, T has mean 0
and variance about 1. They are not independent: one person's records are alike, and all face one calibration. So the law
of T is measured on the networks that were attacked: variance v + b (n - 1) + c n, with n = (sum s)^2 / sum s^2 the
effective number of records, b what a person's records share and c what all records of a network share.
Tails: Student's, with the degrees of freedom of the components (Welch and Satterthwaite), and never below the share of
never-seen groups of as many records, drawn from people with at least as many, that show as much.
Failure mode: where no staying person has several records, nothing says how alike those of a person are: b is then 0,
`alike_known` is False, and the report says so.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tmu.audit.by_table.attack import Attack, Records

LEVEL = 0.01
_MOST_SHOWN = 20_000


@dataclass(frozen=True, eq=False)
class Sums:
    """Of P groups of records, each (P,): their number, sum d, sum s, sum s^2, and the sum over their persons of
    (sum s)^2 - sum s^2.
    """

    records: np.ndarray
    distance: np.ndarray
    spread: np.ndarray
    square: np.ndarray
    shared: np.ndarray

    @property
    def evidence(self) -> np.ndarray:
        """T (P,)."""
        return self.distance / np.sqrt(self.square)

    @property
    def effective(self) -> np.ndarray:
        """Effective number of records (P,)."""
        return self.spread**2 / self.square

    @property
    def alike(self) -> np.ndarray:
        """N - 1 of a person, averaged over a group's persons (P,)."""
        return self.shared / self.square

    def together(self) -> "Sums":
        """All groups as one, (1,)."""
        parts = (self.records, self.distance, self.spread, self.square, self.shared)
        return Sums(*(np.array([each.sum()]) for each in parts))


def by_person(records: Records) -> Sums:
    """The sums of each person, by ascending number."""
    return _sums(records, np.unique(records.subjects, return_inverse=True)[1])


def _sums(records: Records, group: np.ndarray) -> Sums:
    """The sums of each group, int (N,) from 0; each is taken for one person."""
    count, distance, spread, square = (
        np.bincount(group, weights=each)
        for each in (np.ones(len(group)), records.distance, records.spread, records.spread**2)
    )
    return Sums(count, distance, spread, square, spread**2 - square)


@dataclass(frozen=True, eq=False)
class Law:
    """Variance v + b (n - 1) + c n of T where nobody is known: own, person, network.

    persons: people it was measured on. networks: audited ones, 0 where c is not measured. alike_known: see above.
    """

    own: float
    person: float
    network: float
    persons: int
    networks: int
    alike_known: bool
    never: list[Records]
    seed: int = 0
    _shown: dict[int, np.ndarray] = field(default_factory=dict)

    def deviation(self, sums: Sums) -> np.ndarray:
        """Standard deviation of T (P,)."""
        return np.sqrt(self.own + self.person * sums.alike + self.network * sums.effective)

    def standard(self, sums: Sums) -> np.ndarray:
        """T in standard deviations (P,)."""
        return sums.evidence / self.deviation(sums)

    def freedom(self, sums: Sums) -> np.ndarray:
        """Degrees of freedom (P,) of the variance."""
        unsure = 1e-6 + (self.person * sums.alike) ** 2 / max(self.persons - 1, 1)
        if self.networks:
            unsure = unsure + (self.network * sums.effective) ** 2 / max(self.networks - 1, 1)
        return np.minimum(self.deviation(sums) ** 4 / unsure, 1e6)

    def p_value(self, sums: Sums, sign: int = 1) -> np.ndarray:
        """Of the null "nobody is known" (P,); sign -1: against evidence that is too low."""
        from scipy.special import stdtr

        standard = sign * self.standard(sums)
        p = stdtr(self.freedom(sums), -standard)
        for records in np.unique(sums.records).astype(int):
            here, shown = sums.records == records, self.shown(records, sign)
            as_much = len(shown) - np.searchsorted(shown, standard[here] - 1e-9)
            p[here] = np.where(as_much > 0, np.maximum(p[here], (1 + as_much) / (1 + len(shown))), p[here])
        return p

    def threshold(self, sums: Sums) -> np.ndarray:
        """T in standard deviations (P,) at which p is `LEVEL`."""
        from scipy.special import stdtrit

        found = stdtrit(self.freedom(sums), 1 - LEVEL)
        for records in np.unique(sums.records).astype(int):
            here, shown = sums.records == records, self.shown(records, 1)
            may = int(LEVEL * (1 + len(shown))) - 1
            if len(shown) and may >= 0:
                found[here] = np.maximum(found[here], shown[-1 - may])
        return found

    def shown(self, records: int, sign: int) -> np.ndarray:
        """T in standard deviations, ascending, of never-seen groups of one person's `records` records."""
        if records not in self._shown:
            groups = [self.standard(each) for each in map(self._groups(records), self.never) if each is not None]
            self._shown[records] = np.sort(np.concatenate(groups)[:_MOST_SHOWN]) if groups else np.empty(0)
        found = self._shown[records]
        return found if sign > 0 else -found[::-1]

    def _groups(self, records: int) -> Callable[[Records], "Sums | None"]:
        rng = np.random.default_rng([self.seed, records])

        def cut(never: Records) -> Sums | None:
            order = rng.permutation(len(never.subjects))
            order = order[np.argsort(never.subjects[order], kind="stable")]
            _, first, size = np.unique(never.subjects[order], return_index=True, return_counts=True)
            place = np.arange(len(order)) - np.repeat(first, size)
            kept = place < np.repeat(size // records * records, size)
            if not kept.any():
                return None
            rows = order[kept]
            group = np.arange(len(rows)) // records
            return _sums(Records(never.distance[rows], never.spread[rows], never.subjects[rows]), group)

        return cut


def law_of(attack: Attack, seed: int = 0) -> Law:
    """Measured on the records of an attack that nobody knows."""
    never, known = attack.never, [by_person(each) for each in attack.never]
    own = float(np.sum([each.distance @ each.distance for each in never]))
    own /= float(np.sum([each.spread @ each.spread for each in never]))
    several = sum(float(each.alike.sum()) for each in known)
    left = sum(float((each.evidence**2 - own)[each.alike > 1e-9].sum()) for each in known)
    person = max(0.0, left / several) if several > 1e-6 else 0.0
    persons = len(np.unique(np.concatenate([each.subjects for each in never])))
    # a calibration on T records errs by as much as one record of T
    network, least = 0.0, 1 / len(attack.layer.test)
    if len(never) > 1:
        whole = [each.together() for each in known]
        beyond = sum(float(each.evidence[0] ** 2 - own - person * each.alike[0]) for each in whole)
        network = beyond / sum(float(each.effective[0]) for each in whole)
    return Law(
        own,
        person,
        max(network, least),
        persons,
        len(never) if network > least else 0,
        several > 1e-6,
        never,
        seed,
    )
