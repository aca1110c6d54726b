"""Choose learning rate and lead on twin problems of the references, before any deletion and without a gold.

One pair of references is put aside as the judge: of a record that a network of it never saw, that network is the gold.
Whole people are drawn from D as forget sets, of three sizes; the original takes the step on them with targets from the
other pairs. A trial is scored by

    J = ( 2 |Δp_f| + |Δp_r| + |Δp_h| ) / 4  +  50 · AD

Δp: mean true-class probability, in points, on the forget set less the judge's, and on records of D and of the hold-out
less the original's; probabilities, since accuracies of a thousand records are too coarse to choose by. They weigh as
UA and MIA, RA and TA do in the average gap. AD: distance to the judge's answers on a gold's scale. Each of three rates,
the usual one, twice and half of it, gets the best of the leads up to the one that brings Δp_f to 0; another than the
usual one is taken where its J is clearly lower. Cost: about a retraining, once (`cpu-small`: .9 to 1.1).
Failure mode: the judge learned half of D, so what it shows of a gold is only as good as the map of the margins.
"""

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

import torch
from torch import Tensor, nn

from tmu.config import Seeds, TrainConfig
from tmu.references.rows import ReferenceRows
from tmu.train import Examples, Fit, logits_of
from tmu.train.order import hash_keys, stream
from tmu.twin.margins import margin_of, with_margin
from tmu.twin.reference_twin import TERMS, Rate, ReferenceTwin, Unseen, fit_answers, usual_rate
from tmu.twin.replay import StepCase, replay_weights, take_step

FACTORS = (2.0, 0.5)  # of the usual rate
_SHARES = (0.01, 0.05)  # of D: sizes of forget sets beside one person
_PEOPLE = 4  # single people, over whom a trial is averaged
_WATCHED = 1000  # records of D and of the hold-out that are watched, over all forget sets of a trial
_CLEARLY = 0.15  # of J: less is noise
_LEAD, _LARGEST_LEAD = 0.5, 1.0  # nats
_MEASURED = ("distance", "forget", "retain", "holdout")


@dataclass(frozen=True, eq=False)
class TwinProblems:
    """An original and records of its training set and hold-out, with their references.

    train: random records of D, whole people; subjects: int64 (N,), whose they are. recipe: the original's. fit: the
    engine. acquainted: see `Unseen`.
    """

    original: nn.Module
    train: Examples
    rows: ReferenceRows
    subjects: Tensor
    holdout: Examples
    holdout_rows: ReferenceRows
    recipe: TrainConfig
    seeds: Seeds
    fit: Callable[..., Fit]
    device: torch.device | str = "cpu"
    acquainted: Tensor | None = None


@dataclass(frozen=True)
class Trial:
    """A rate tried on forget sets of about `records`: means over them; Δp_f, Δp_r and Δp_h in points."""

    records: int
    lr: float
    lead: float
    distance: float
    forget: float
    retain: float
    holdout: float

    def score(self) -> float:
        """J."""
        return (2 * abs(self.forget) + abs(self.retain) + abs(self.holdout)) / 4 + 50 * self.distance

    def towards(self, other: "Trial", lead: float) -> "Trial":
        """What a lead would give, on the line through this trial without one and another with one."""
        at = lead / other.lead
        moved = {name: (1 - at) * getattr(self, name) + at * getattr(other, name) for name in _MEASURED}
        return replace(self, lead=lead, **moved)


def fit_reference_twin(problems: TwinProblems) -> tuple[ReferenceTwin, dict]:
    """The twin with its rates, and a JSON-ready report of the trials. Needs two pairs of references."""
    own, held = (
        logits_of(problems.original, part.images, device=problems.device).log_softmax(1)
        for part in (problems.train, problems.holdout)
    )
    twin = fit_answers(problems.rows, own, Unseen(problems.holdout_rows, held, problems.acquainted))
    bench = Bench(problems, twin, own, held)
    rates: list[Rate] = []
    for sets in bench.forget_sets():
        rates.append(bench.choose(sets))
    weights = {name: float(value) for name, value in zip((*TERMS, "label"), (*twin.a, *twin.b), strict=True)}
    chosen = {f"{rate.records} records": f"{rate.lr:.3g}, lead {rate.lead:.2f}" for rate in rates}
    trials = {"number": len(bench.trials), "all": [asdict(trial) for trial in bench.trials]}
    return replace(twin, rates=tuple(rates)), {"foreseen from": weights, "peak rate": chosen, "trials": trials}


@dataclass(eq=False)
class Bench:
    """Twin problems on which rates are tried. own, held: the original's log-probabilities on D and hold-out (N, K)."""

    problems: TwinProblems
    twin: ReferenceTwin
    own: Tensor
    held: Tensor
    trials: list[Trial] = field(default_factory=list)

    def forget_sets(self) -> list[list[Tensor]]:
        """By ascending size: lists of masks (N,) of whole people."""
        people, counts = torch.unique(self.problems.subjects, return_counts=True)
        order = torch.from_numpy(hash_keys(people, stream(self.problems.seeds.unlearn, "rates")).argsort().copy())
        people, counts = people[order], counts[order]
        sets = [[self._of(person[None]) for person in people[:_PEOPLE]]]
        for share in _SHARES:
            number = int((counts.cumsum(0) < share * len(self.problems.subjects)).sum()) + 1
            mask = self._of(people[-number:])
            if int(mask.sum()) >= 2 * self._records(sets[-1]) and 2 * int(mask.sum()) < len(mask):
                sets.append([mask])
        return sets

    def _of(self, people: Tensor) -> Tensor:
        return torch.isin(self.problems.subjects, people)

    @staticmethod
    def _records(sets: list[Tensor]) -> int:
        return max(1, round(sum(int(mask.sum()) for mask in sets) / len(sets)))

    def choose(self, sets: list[Tensor]) -> Rate:
        """The usual rate for forget sets of this size, or twice or half of it where that is clearly better."""
        records = self._records(sets)
        usual = usual_rate(records, self.problems.recipe.lr)
        best = self._with_lead(sets, Rate(records, usual, 0.0))
        for factor in FACTORS:
            other = self._with_lead(sets, Rate(records, factor * usual, 0.0))
            if other.score() < best.score() - _CLEARLY:
                best = other
        return Rate(records, best.lr, best.lead)

    def _with_lead(self, sets: list[Tensor], rate: Rate) -> Trial:
        """A rate with the best of the leads up to the one that brings Δp_f to 0, foreseen from two trials."""
        plain = self.tried(sets, rate)
        if plain.forget <= 0:
            return plain
        first = self.tried(sets, replace(rate, lead=_LEAD))
        moved = plain.forget - first.forget
        whole = min(_LEAD * plain.forget / moved, _LARGEST_LEAD) if moved > 0 else 0.0
        return min((plain.towards(first, share * whole) for share in (0.0, 0.5, 1.0)), key=Trial.score)

    def tried(self, sets: list[Tensor], rate: Rate) -> Trial:
        """A trial, averaged over forget sets; it is noted."""
        each = [self.compared(mask, rate, number, len(sets)) for number, mask in enumerate(sets)]
        found = torch.tensor(each, dtype=torch.float64).mean(0)
        trial = Trial(rate.records, rate.lr, rate.lead, *(float(value) for value in found))
        self.trials.append(trial)
        return trial

    def compared(self, mask: Tensor, rate: Rate, number: int, sets: int) -> tuple[float, float, float, float]:
        """AD, Δp_f, Δp_r, Δp_h of forget set `number` of `sets`, each of which watches other records."""
        given, model = self.problems, copy.deepcopy(self.problems.original)
        judges = [given.rows.nets - 2, given.rows.nets - 1]
        rows, rest = given.rows.take(mask), given.rows.take(~mask).without(judges)
        lost = torch.zeros(self.own.shape[1] + 1)
        targets = self.twin.targets(rows.without(judges), self.own[mask], lost, rate.lead)
        case = StepCase(
            given.train.take(mask),
            given.train.take(~mask),
            replay_weights(rest),
            self.own.shape[1],
            given.recipe,
            given.seeds,
            given.fit,
        )
        take_step(model, case, targets, replace(self.twin, rates=(rate,)).plan(int(mask.sum())))
        answers = logits_of(model, case.forget.images, device=given.device).softmax(1)
        judged = self.judged(rows, judges)
        true = (answers - judged).gather(1, rows.labels[:, None])
        distance = float((answers - judged).norm(dim=1).mean())
        return distance, 100 * float(true.mean()), *self.watched(model, ~mask, number, sets)

    def judged(self, rows: ReferenceRows, judges: list[int]) -> Tensor:
        """The judge's answers (F, K) on a gold's scale: of its two networks the one that never saw the record."""
        p = torch.where(rows.seen[:, judges[0], None], rows.logp[:, judges[1]], rows.logp[:, judges[0]]).exp()
        return with_margin(p, rows.labels, self.twin.margins.as_gold(margin_of(p, rows.labels), 0.0))

    def watched(self, model: nn.Module, stays: Tensor, number: int, sets: int) -> tuple[float, float]:
        """Mean true-class probability less the original's, in points, on records that stay and on the hold-out."""
        given, changes = self.problems, []
        held = torch.arange(len(given.holdout))
        for part, own, places in (
            (given.train, self.own, stays.nonzero()[:, 0]),
            (given.holdout, self.held, held),
        ):
            chosen = places[number :: max(1, sets * len(places) // _WATCHED)]
            labels = part.labels[chosen].cpu()[:, None]
            now = logits_of(model, part.take(chosen).images, device=given.device).softmax(1)
            changes.append(100 * float((now - own[chosen].exp()).gather(1, labels).mean()))
        return changes[0], changes[1]
