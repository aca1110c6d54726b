"""The numbers of a fleet: many models of one row against many golds, record by record. Arrays in, numbers out.

Every row faces the same golds. What each attack compares:
- KLoM: the row's margins with the golds'; its floor is a second, independent fleet of as many golds in the row's place.
- U-LiRA: is a forget record's confidence that of a row's model or of a gold? Shadows: the other models of both sides.
- LiRA, online: is it that of a model trained on the record? Shadows in: the originals, out: the golds, of both all but
  the i-th where the i-th model of the row and the i-th gold are attacked.
- RMIA and offline LiRA: as in the audit (`tmu/audit/metrics/reference_attacks.py`), forget records against test
  records under each model in turn, with all the golds as references.
- Forgetting score: F of NeurIPS 2023; the challenge's score multiplies it by the kept shares of accuracy.
Directions: KLoM lower, floor printed; U-LiRA, LiRA and RMIA as the second golds (about 50 %, and TPR as FPR), far below
stands out, too; F higher, and read against its null, which is far below 1.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean

import numpy as np
from scipy.special import expit

from bench.runner.jackknife import GROUPS, equal_groups
from tmu.audit.fleet.attack import AttackNumbers, attack_numbers
from tmu.audit.fleet.forgetting_score import challenge_score, forgetting_epsilons, forgetting_quality
from tmu.audit.fleet.klom import klom_oracle_vs_unlearned
from tmu.audit.fleet.lira import lira_offline_scores, lira_scores, u_lira
from tmu.audit.fleet.rmia import rmia, rmia_scores
from tmu.audit.outputs import SETS

Numbers = dict[str, float]
_KLOM_SPAN = (0.0, 12.0)  # nats; a record's largest value is a little over 11.5


@dataclass(frozen=True, eq=False)
class Side:
    """A fleet of S models. By set (forget, retain, test): margins (S, N), logit-scaled true-class confidence; right
    (S, N), whether the true class is the answer.
    """

    margins: dict[str, np.ndarray]
    right: dict[str, np.ndarray]

    def kept(self, models: np.ndarray, records: dict[str, np.ndarray]) -> "Side":
        """The side with the chosen models, bool (S,), and records, bool (N,) by set."""
        parts = ({name: part[name][models][:, records[name]] for name in SETS} for part in (self.margins, self.right))
        return Side(*parts)

    def accuracy(self, name: str) -> float:
        """Mean accuracy on a set, 0..1."""
        return float(self.right[name].mean())


@dataclass(frozen=True, eq=False)
class Fleets:
    """As many models of the row as originals and golds, each side on the same records."""

    row: Side
    original: Side
    gold: Side
    known: np.ndarray | None = None

    @cached_property
    def epsilons(self) -> np.ndarray:
        """The forgetting score's epsilon (N,) of each forget record: a few ms each, so that they are kept."""
        if self.known is not None:
            return self.known
        return forgetting_epsilons(self.row.margins["forget"], self.gold.margins["forget"])

    def kept(self, models: np.ndarray, records: dict[str, np.ndarray]) -> "Fleets":
        """The same choice on every side."""
        return Fleets(*(side.kept(models, records) for side in (self.row, self.original, self.gold)))

    def swapped(self, row: Side) -> "Fleets":
        """Another row before the same golds."""
        return Fleets(row, self.original, self.gold)

    def cuts(self) -> list[list["Fleets"]]:
        """Without each group of models in turn, and without each group of records: for the jackknife."""
        sizes = {name: self.row.margins[name].shape[1] for name in SETS}
        of_models, count = equal_groups(len(self.row.margins["forget"])), min(GROUPS, *sizes.values())
        every = np.ones(len(of_models), bool), {name: np.ones(size, bool) for name, size in sizes.items()}
        fewer_records = ({name: np.arange(n) % count != group for name, n in sizes.items()} for group in range(count))
        return [
            [self.kept(of_models != group, every[1]) for group in range(of_models.max() + 1)],
            [
                replace(self.kept(every[0], records), known=self.epsilons[records["forget"]])
                for records in fewer_records
            ],
        ]


def numbers(fleets: Fleets) -> Numbers:
    """Every number of a row, by metric name; units and spans: `about`."""
    return {name: value for each in _FAMILIES for name, value in each(fleets).items()}


def floors(fleets: Fleets, second: Side) -> Numbers:
    """What a second fleet of golds gets in the row's place: KLoM's floor and the forgetting score's null."""
    golds = fleets.swapped(second)
    klom = klom_oracle_vs_unlearned(golds.gold.margins["forget"], golds.row.margins["forget"])
    null = _forgetting(golds)["forgetting_score"]
    return {"klom_forget_floor": float(klom.mean()), "forgetting_score_null": null}


def about(metric: str) -> tuple[str, tuple[float, float]]:
    """Unit of a number and the span of its values."""
    if metric.startswith("klom_"):
        return "nats", _KLOM_SPAN
    return ("", (0.0, 1.0)) if metric.startswith(("forgetting_", "challenge_")) else ("%", (0.0, 100.0))


def _klom(fleets: Fleets) -> Numbers:
    found = {}
    for name in SETS:
        per_record = klom_oracle_vs_unlearned(fleets.gold.margins[name], fleets.row.margins[name])
        found |= {f"klom_{name}": float(per_record.mean()), f"klom_{name}_p95": float(np.percentile(per_record, 95))}
    return found


def _u_lira(fleets: Fleets) -> Numbers:
    found = u_lira(fleets.row.margins["forget"], fleets.gold.margins["forget"])
    return {"ulira_accuracy": 100 * found.accuracy, "ulira_auc": 100 * found.numbers.auc}


def _lira_online(fleets: Fleets) -> Numbers:
    row, original, gold = (side.margins["forget"] for side in (fleets.row, fleets.original, fleets.gold))
    count, scores = len(row), ([], [])
    for left_out in range(count):
        others = np.arange(count) != left_out
        shadows = np.concatenate([original[others], gold[others]])
        member = np.repeat([True, False], count - 1)[:, None].repeat(row.shape[1], 1)
        for side, target in zip(scores, (row, gold), strict=True):
            side.append(lira_scores(target[left_out], shadows, member))
    return _named("lira_online", [attack_numbers(*(np.concatenate(side) for side in scores))])


def _lira(fleets: Fleets) -> Numbers:
    def attack(model: int) -> AttackNumbers:
        row, gold = fleets.row.margins, fleets.gold.margins
        return attack_numbers(*(lira_offline_scores(row[name][model], gold[name]) for name in ("forget", "test")))

    return _named("lira", [attack(model) for model in range(len(fleets.row.margins["forget"]))])


def _rmia(fleets: Fleets) -> Numbers:
    targets, references = (
        {name: expit(side.margins[name]) for name in ("forget", "test")} for side in (fleets.row, fleets.gold)
    )
    member = np.repeat([True, False], [part.shape[1] for part in targets.values()])
    both, all_references = (np.concatenate([part["forget"], part["test"]], axis=1) for part in (targets, references))
    out = np.ones(all_references.shape, bool)

    def attack(model: int) -> AttackNumbers:
        population = targets["test"][model], references["test"]
        return rmia(rmia_scores(both[model], all_references, out, *population), member)

    return _named("rmia", [attack(model) for model in range(len(both))])


def _forgetting(fleets: Fleets) -> Numbers:
    quality = forgetting_quality(fleets.epsilons, len(fleets.row.margins["forget"]))
    kept = ((fleets.row.accuracy(name), fleets.gold.accuracy(name)) for name in ("retain", "test"))
    return {"forgetting_score": quality, "challenge_score": challenge_score(quality, *kept)}


def _named(attack: str, found: list[AttackNumbers]) -> Numbers:
    """Percent, averaged over the attacked models."""
    parts = ("auc", "tpr_at_1pct_fpr", "tpr_at_01pct_fpr")
    return {f"{attack}_{part}": 100 * fmean(getattr(each, part) for each in found) for part in parts}


_FAMILIES: tuple[Callable[[Fleets], Numbers], ...] = (_klom, _u_lira, _lira_online, _lira, _rmia, _forgetting)
