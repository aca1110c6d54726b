"""Membership of the whole request and of every person in it, under the unlearned model and under the original."""

from dataclasses import dataclass, replace

import numpy as np

from tmu.audit.by_table.attack import (
    KINDS,
    NEED_SECOND_PAIR,
    Attack,
    Margins,
    fit_attack,
    never_learned,
    scale_of,
    unknown_to,
)
from tmu.audit.by_table.case import MODELS
from tmu.audit.by_table.law import Law, Sums, by_person, law_of
from tmu.audit.by_table.layer import Layer
from tmu.audit.by_table.power import Power, power_of
from tmu.errors import DataError


@dataclass(frozen=True, eq=False)
class Seen:
    """Evidence of P groups under one model, each (P,): in standard deviations where nobody is known, and p-values.

    member: of "surer than a model that never saw them"; low: of "less sure" (the Streisand effect).
    """

    records: np.ndarray
    evidence: np.ndarray
    member: np.ndarray
    low: np.ndarray


@dataclass(frozen=True, eq=False)
class Membership:
    """request, people: by model. people_named: (P,) the persons' numbers, ascending. kind: of the score. law: None in
    an audit that is read again (`measured.py`).
    """

    kind: str
    request: dict[str, Seen]
    people: dict[str, Seen]
    people_named: np.ndarray
    law: Law | None
    power: Power

    @property
    def null(self) -> Law:
        """`law`, in an audit that has just measured it. Raises DataError in one that is read again."""
        if self.law is None:
            raise DataError("An audit that is read again has no law of its evidence.", "Audit the model again.")
        return self.law

    @property
    def left(self) -> float | None:
        """Share of the original's evidence that is left; below 0 on the other side. None where it has none."""
        own = float(self.request["original"].evidence[0])
        return float(self.request["unlearned"].evidence[0]) / own if own > 0 else None


def memberships(layer: Layer, seed: int) -> list[Membership]:
    """By every score that the table allows, the one that is judged first: it convicts the untouched original best.

    The original is not what is on trial, so that choosing by it leaves the judged model's false alarms as they are; its
    own p-value is multiplied by the number of scores (Bonferroni).
    """
    scale = scale_of(layer)
    if layer.pairs > 1:
        never = {"original": never_learned(layer, scale)}  # the null is the references', whatever the model
    else:
        never = {name: unknown_to(layer, name) for name in MODELS}
    kinds = [kind for kind in KINDS if layer.pairs > 1 or kind not in NEED_SECOND_PAIR]
    found = []
    for kind in kinds:
        fitted = {name: fit_attack(layer, kind, each, scale) for name, each in never.items()}
        attacks = {name: fitted.get(name, fitted["original"]) for name in MODELS}
        laws = {name: law_of(attack, seed) for name, attack in fitted.items()}
        found.append(_membership(layer, attacks, {name: laws.get(name, laws["original"]) for name in MODELS}))
    ordered = sorted(found, key=lambda each: each.power.p_value)
    return [replace(each, power=each.power.corrected(len(found))) for each in ordered]


def _membership(layer: Layer, attacks: dict[str, Attack], laws: dict[str, Law]) -> Membership:
    records = {name: attack.on(_margins_of(name), layer.forget) for name, attack in attacks.items()}
    sums = {name: by_person(each) for name, each in records.items()}
    return Membership(
        attacks["unlearned"].kind,
        request={name: _seen(laws[name], each.together()) for name, each in sums.items()},
        people={name: _seen(laws[name], each) for name, each in sums.items()},
        people_named=np.unique(layer.forget.subjects),
        law=laws["unlearned"],
        power=power_of(attacks["original"], laws["original"], records["original"]),
    )


def _margins_of(model: str) -> Margins:
    return lambda side: side.margins[model]


def _seen(law: Law, sums: Sums) -> Seen:
    return Seen(sums.records.astype(int), law.standard(sums), law.p_value(sums), law.p_value(sums, -1))
