"""Every person who asked to be forgotten: is this one still recognised, or given away by being *un*recognised?

Evidence from all of a person's forgotten records together (`person.py`), in two directions: "member" where the model is
surer of them than the golds are (offline LiRA score: logit-scaled confidence less the golds' mean), "stands out" where
it is less sure (Streisand effect). False-positive rate 1 % for each person and direction.
References are the golds: the judged model and the original face all but the first, which shares the original's seeds; a
gold faces the others; so each faces as many. The floor is what is found under the golds, where nobody is known.
Check: nobody may be more detectable than under the golds. A person is *more detectable* if found in a direction, with
an interval above the evidence under every gold. One in a hundred unknown ones is found by chance in each direction, so
the check fails where a person is found at 1 % for all persons and directions together (`certain`, Bonferroni), or where
more are found than `chance`: what 99 of 100 audits of unknown ones would stay within, or the number of any gold.
People appear by their place in the list alone, so that an audit leads to nobody and outlives their erasure. Cost: one
simulation for all models.
"""

from typing import Any

import numpy as np

from tmu.audit.fleet.lira import lira_offline_scores
from tmu.audit.outputs import Outputs, Sets, logit_confidence
from tmu.audit.person import DRAWS, FPR, Persons, persons_evidence
from tmu.audit.table import ORIGINAL

MOST = 100  # persons listed one by one, the most detectable first; all are counted
_DIRECTIONS = {"member": 1.0, "stands_out": -1.0}


def people_report(
    subjects: list[str], sets: Sets, models: dict[str, Outputs], golds: list[str], row: str, seed: int
) -> dict[str, Any] | None:
    """JSON-ready report on the persons of the forget set under the model `row`; None where nothing can be said.

    `subjects`: the subject's key (hex of an HMAC) of each forget record, in their order. Nothing can be said with fewer
    than two golds, or with too few never-seen records to bound false alarms at 1 %.
    """
    if len(golds) < 2 or len(sets.labels["test"]) < round(1 / FPR) - 1:
        return None
    named, person = np.unique(np.array(subjects), return_inverse=True)
    shown = list(dict.fromkeys([row, ORIGINAL, *golds]))
    confidence = {name: _confidence(sets, models[name]) for name in {*shown, *golds}}
    scored = [pair for name in shown for pair in _both_directions(name, confidence, golds)]
    found = iter(persons_evidence(person, scored, seed, draws=draws_for(person)))
    persons = {name: {direction: next(found) for direction in _DIRECTIONS} for name in shown}
    more = {direction: _more(persons, golds, row, direction) for direction in _DIRECTIONS}
    return {
        "false_positive_rate": FPR,
        "persons": len(named),
        "found": {name: {key: int(each.known.sum()) for key, each in persons[name].items()} for name in shown},
        **_check(persons, golds, row, more),
        "people": _listed(named, persons, golds, row, more),
    }


def draws_for(person: np.ndarray) -> int:
    """Draws of the null law: enough for `certain` among 500 persons, where nobody has very many records."""
    return 10 * DRAWS + 9 if np.bincount(person).max() <= 100 else DRAWS


def _confidence(sets: Sets, outputs: Outputs) -> dict[str, np.ndarray]:
    return {name: logit_confidence(outputs.logits[name], sets.labels[name]) for name in ("forget", "test")}


def _both_directions(
    name: str, confidence: dict[str, dict[str, np.ndarray]], golds: list[str]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(scores of forget, of test records) of one model, for "member" and for "stands out"."""
    faced = [gold for gold in golds if gold != name] if name in golds else golds[1:]
    forget, test = (
        lira_offline_scores(confidence[name][part], np.stack([confidence[gold][part] for gold in faced]))
        for part in ("forget", "test")
    )
    return [(sign * forget, sign * test) for sign in _DIRECTIONS.values()]


def _more(persons: dict[str, dict[str, Persons]], golds: list[str], row: str, direction: str) -> np.ndarray:
    """Who is more detectable under `row` than under every gold, bool (P,)."""
    own = persons[row][direction]
    return own.known & (own.low > np.max([persons[gold][direction].evidence for gold in golds], axis=0))


def _check(
    persons: dict[str, dict[str, Persons]], golds: list[str], row: str, more: dict[str, np.ndarray]
) -> dict[str, Any]:
    from scipy.stats import binom

    by_chance = int(binom.ppf(0.99, len(more["member"]), FPR))
    limits = {
        direction: max(by_chance, *(int(persons[gold][direction].known.sum()) for gold in golds))
        for direction in _DIRECTIONS
    }
    counts = {direction: int(each.sum()) for direction, each in more.items()}
    certain = sum(int(_certain(persons[row][direction], each).sum()) for direction, each in more.items())
    passed = not certain and all(counts[direction] <= limits[direction] for direction in _DIRECTIONS)
    text = (
        f"{counts['member']} of {len(more['member'])} persons are more recognisable than under the golds, "
        f"{counts['stands_out']} stand out more by low confidence; chance allows {limits['member']} and "
        f"{limits['stands_out']}. Detected for certain: {certain}."
    )
    return {"more_detectable": counts, "chance": limits, "certain": certain, "passed": passed, "reason": text}


def _certain(own: Persons, more: np.ndarray) -> np.ndarray:
    """Whose detection holds at 1 % for all persons and both directions together, bool (P,)."""
    return more & (own.p_value <= FPR / (len(_DIRECTIONS) * len(more)))


def _listed(
    named: np.ndarray, persons: dict[str, dict[str, Persons]], golds: list[str], row: str, more: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    least = np.min([each.p_value for each in persons[row].values()], axis=0)
    order = np.lexsort((named, least))[:MOST]
    return [
        {
            "person": str(number),
            "records": int(persons[row]["member"].records[place]),
            **{direction: _one(persons, golds, row, direction, place) for direction in _DIRECTIONS},
            "more_detectable": bool(any(each[place] for each in more.values())),
        }
        for number, place in enumerate(order, 1)
    ]


def _one(
    persons: dict[str, dict[str, Persons]], golds: list[str], row: str, direction: str, place: int
) -> dict[str, Any]:
    """One person in one direction: evidence with its interval, p-value, and the golds' mean evidence as floor."""
    own = persons[row][direction]
    return {
        "evidence": float(own.evidence[place]),
        "low": float(own.low[place]),
        "high": float(own.high[place]),
        "p_value": float(own.p_value[place]),
        "found": bool(own.known[place]),
        "floor": float(np.mean([persons[gold][direction].evidence[place] for gold in golds])),
        "original": float(persons[ORIGINAL][direction].evidence[place]) if ORIGINAL in persons else None,
    }
