"""Is this person still in the model? One decision a person, from all of the person's forgotten records together.

Each record's score (higher: more member-like) becomes a conformal p-value against M records that were never seen:
p = (1 + how many of them score at least as high) / (M + 1). A person's evidence is the mean of -ln p over the n records
(Fisher's statistic / 2n): about 1 for a person the model does not know, more where it does.
Null: all p-values share the M records, so they are not independent and Fisher's chi-square would accuse too often
(Bates et al. 2023). Their joint law is known whatever the scores' law: each score falls into one of M + 1 gaps, and the
n gaps are a Polya urn. That law is simulated; the person's p-value, and so the rate of false alarms, is exact for any n
and M; ties make it conservative. The rate holds for each person: of 100 unknown ones, one is accused on average.
Interval: 95 %, of the evidence, exact where -ln p is exponential (Lehmann's alternatives, the null among them).
Failure mode: a person's records must be as likely to score high as never-seen ones *given that the model does not know
them*. Raw confidence breaks that (one person's pictures are all easy, another's all hard) and accuses too often; give
scores with the ease taken out: LiRA or RMIA, or confidence less the golds' mean. Floor: the share accused under a gold.
Cost: O(draws x records of the largest person), whatever the number of persons.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tmu.audit.bootstrap import LEVEL, blocks
from tmu.errors import DataError

FPR = 0.01
DRAWS = 9_999


@dataclass(frozen=True, eq=False)
class Persons:
    """One entry a person, by ascending number: `subjects` int (P,), `records` (P,), `evidence` with its 95 % interval.

    `p_value` (P,): of the null "not known to the model". `known` (P,) bool: p_value <= 1 %.
    """

    subjects: np.ndarray
    records: np.ndarray
    evidence: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_value: np.ndarray
    known: np.ndarray


def persons_evidence(
    subjects: np.ndarray, scored: list[tuple[np.ndarray, np.ndarray]], seed: int, *, draws: int = DRAWS
) -> list[Persons]:
    """Membership evidence by person, of several models or directions of the same records.

    `subjects` int (N,) of the forget records; `scored`: for each model or direction, scores (N,) of the forget records
    and of the population (M,). The null law depends on numbers of records alone: it is simulated once for all of them.
    Raises DataError for empty or misfitting arrays, scores that are not finite, or so few never-seen records or draws
    that nobody could be found at a false-positive rate of 1 %.
    """
    for scores, population in scored:
        _check(subjects, scores, population, draws)
    named, person, records = np.unique(subjects, return_inverse=True, return_counts=True)
    logs = np.stack([-np.log(conformal_p_values(*pair)) for pair in scored])
    evidence = np.stack([np.bincount(person, weights=each) / records for each in logs])  # (S, P)
    counts, never = np.tile(records, len(scored)), len(scored[0][1])
    at_least = _null_at_least(evidence.ravel(), counts, never, draws, np.random.default_rng(seed))
    p_value = (1 + at_least.reshape(evidence.shape)) / (draws + 1)
    ends = [_interval(each, records) for each in evidence]
    return [
        Persons(named, records, each, low, high, p, p <= FPR)
        for each, (low, high), p in zip(evidence, ends, p_value, strict=True)
    ]


def conformal_p_values(scores: np.ndarray, population: np.ndarray) -> np.ndarray:
    """(1 + #{population >= score}) / (M + 1), shape (N,), of scores (N,) and a population (M,); ties count against."""
    below = np.searchsorted(np.sort(population), scores, side="left")
    return (1 + len(population) - below) / (len(population) + 1)


def _check(subjects: np.ndarray, scores: np.ndarray, population: np.ndarray, draws: int) -> None:
    if len(subjects) != len(scores) or not len(scores):
        raise DataError(f"There are {len(subjects)} subjects for {len(scores)} scores.", "Give one for each record.")
    if not (np.isfinite(scores).all() and np.isfinite(population).all()):
        raise DataError("A membership score is not a finite number.", "Score with a model that has not diverged.")
    fewest = round(1 / FPR) - 1
    if min(len(population), draws) < fewest:
        raise DataError(
            f"{min(len(population), draws)} never-seen records or draws cannot bound false alarms at 1 %.",
            f"Give at least {fewest} of each.",
        )


def _null_at_least(
    evidence: np.ndarray, records: np.ndarray, population: int, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """How many of `draws` unknown persons with as many records have at least this evidence, (P,)."""
    most = int(records.max())
    found = np.zeros(len(evidence), dtype=np.int64)
    order = np.argsort(records, kind="stable")
    bounds = np.searchsorted(records[order], np.arange(1, most + 2))
    for rows in blocks(draws, most):
        totals = np.zeros(rows)
        for n, gap in enumerate(_polya(rows, most, population, rng), start=1):
            totals -= np.log((1 + gap) / (population + 1))
            asked = order[bounds[n - 1] : bounds[n]]
            if len(asked):
                # a sum in another order is another number in the last digit; equal must count as equal
                found[asked] += rows - np.searchsorted(np.sort(totals / n), evidence[asked] - 1e-9)
    return found


def _polya(rows: int, steps: int, population: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The gaps 0..M that `steps` further scores fall into, one (rows,) array a step, each row a person."""
    gaps = np.empty((steps, rows), dtype=np.int64)
    row = np.arange(rows)
    for step in range(steps):
        drawn = rng.integers(0, population + 1 + step, rows)
        again = np.maximum(drawn - population - 1, 0)  # beyond the M + 1 gaps: where an earlier score fell
        gaps[step] = np.where(drawn > population, gaps[again, row], drawn)
        yield gaps[step]


def _interval(evidence: np.ndarray, records: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """2 n evidence / theta is chi-square with 2 n degrees of freedom where -ln p is exponential with mean theta."""
    from scipy.special import chdtri

    tail = (1 - LEVEL) / 2
    total = 2 * records * evidence
    return total / chdtri(2 * records, tail), total / chdtri(2 * records, 1 - tail)
