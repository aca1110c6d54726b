"""The rules of the audit without golds: each gives an outcome and a sentence or two with the numbers behind it.

1. weights: as in `gate_rules.py`.
2. membership: fails where the request's records are known at 1 % and more than `share_left` of the original's evidence
   is left. Both: an effect that is significant alone may be a hair's breadth, one that is large alone may be chance.
   Such a one is inconclusive where a deletion done by half would not be seen either.
   Fails as well where they stand out by low confidence at 0.1 %, more than the original was too sure of them, with
   answers beyond the floor of the distance. That side is judged less strictly, since a gold itself is less sure than
   references are: where records that are alike go together, a gold has lost them all, and a reference half of them.
3. persons: the same for each; fails where a person is found at 1 % for all together, or more are found than chance has.
4. inner layers: rule 2 on fresh heads, so that a change of the last layer does not pass.
5. distance: within what references show among themselves, or a material part of the way closed; 6. on fresh heads.
7. utility on the test set, 8. on the people who stay and the most exposed of them, 9. by class.
10. sets: the original knows what is to be forgotten.

A rule that could not have told is `inconclusive` and says how large an effect would have had to be.
"""

import numpy as np

from tmu.audit.by_table.distance import Distance
from tmu.audit.by_table.law import LEVEL
from tmu.audit.by_table.membership import Membership
from tmu.audit.by_table.utility import Lost, Utility
from tmu.audit.by_table.wording import (
    left_text,
    original_text,
    p_text,
    percent,
    points,
    sees_half,
    shown,
    smallest_text,
)
from tmu.audit.gate_rules import Finding
from tmu.config import AuditConfig
from tmu.words import counted

STANDS_OUT = 0.001  # level of the other side
COLLAPSE = 5  # times `utility_drop_pct`: a loss that may fall on no class and no part


def membership(found: Membership, config: AuditConfig, distance: Distance | None = None) -> Finding:
    """Rule 2, of outputs or fresh heads."""
    own, power = found.request["unlearned"], found.power
    p_member, p_low, evidence = float(own.member[0]), float(own.low[0]), float(own.evidence[0])
    said = f"evidence of membership {evidence:+.1f} standard deviations (p {p_text(p_member)})"
    text = f"{said}, original {original_text(found)}"
    if p_member <= LEVEL and _material(found.left, config):
        return Finding("failed", f"{text}: the forgotten records are still recognised{left_text(found)}.")
    too_low = -evidence > float(found.request["original"].evidence[0])
    if p_low <= STANDS_OUT and too_low and not _near(distance):
        return Finding("failed", f"{text}: they stand out by low confidence (p {p_text(p_low)}; Streisand effect).")
    if not power.convicted:
        return Finding(
            "inconclusive",
            f"{text}: even the untouched original cannot be told from a model that never saw these "
            f"{counted(int(own.records[0]), 'record')}. {smallest_text(found)}",
        )
    if p_member > LEVEL and _material(found.left, config) and not sees_half(found):
        text = f"{text}: the original is found and this model is not, but that is no proof{left_text(found)}"
        return Finding("inconclusive", f"{text}. {smallest_text(found)}")
    left = f" What is left ({100 * (found.left or 0):.0f} % of the original's evidence) is significant but small." * (
        p_member <= LEVEL
    )
    return Finding("passed", f"{text}: the original is found, this model is not.{left} {smallest_text(found)}")


def people(found: Membership, config: AuditConfig, distance: Distance | None = None) -> Finding:
    """Rule 3."""
    from scipy.stats import binom

    own, original = found.people["unlearned"], found.people["original"]
    count = len(own.member)
    if count == 1:
        rule = membership(found, config, distance)
        return rule._replace(text="the request is of one person: see membership.")
    chance = int(binom.ppf(0.99, count, LEVEL))
    seen = {"member": _known(found, config), "low": _standing_out(found) & (not _near(distance))}
    certain = sum(int((each & (getattr(own, side) <= LEVEL / (2 * count))).sum()) for side, each in seen.items())
    known = int((original.member <= LEVEL).sum())
    text = (
        f"{seen['member'].sum()} of {counted(count, 'person')} found as members at 1 %, {seen['low'].sum()} "
        f"by low confidence at 0.1 %; chance allows {chance}. Found for certain: {certain}. Under the original {known} "
        "are found"
    )
    if certain or any(each.sum() > chance for each in seen.values()):
        return Finding("failed", f"{text}.")
    if known <= chance:
        return Finding("inconclusive", f"{text}: this rule cannot tell here, since each has too few records.")
    return Finding("passed", f"{text}.")


def inner(found: Membership | None, config: AuditConfig, distance: Distance | None = None) -> Finding:
    """Rule 4."""
    if found is None:
        text = "the inner layers were not looked into. A change of the last layer alone would not be seen."
        return Finding("inconclusive", text)
    rule = membership(found, config, distance)
    return rule._replace(text=f"inner layers, with fresh heads: {rule.text}")


def distance(found: Distance | None, config: AuditConfig, what: str = "") -> Finding:
    """Rules 5 and 6."""
    if found is None:
        return Finding("inconclusive", f"{what}the distance was not measured.")
    own, original = found.models["unlearned"], found.models["original"]
    text = f"{what}distance to the answers of references that never saw the records {shown(own)}"
    if found.floor is None:
        return Finding("inconclusive", f"{text}, original {shown(original)}; one pair of references has no floor.")
    text = f"{text}; among references {shown(found.floor)}, original {shown(original)}"
    if own.value <= found.floor.high:
        if found.told_apart:
            return Finding("passed", f"{text}: within the floor.")
        return Finding("inconclusive", f"{text}: even the original is within the floor.")
    if not found.told_apart:
        return Finding("failed", f"{text}: farther than references and original are.")
    text = f"{text}: gained {shown(found.gain)}, {100 * found.closed:.0f} % of the way to the floor"
    if found.gain.low <= 0 or found.closed < config.share_closed:
        return Finding("failed", f"{text}; at least {100 * config.share_closed:.0f} % are asked for.")
    return Finding("passed", f"{text}.")


def utility(found: Utility, config: AuditConfig) -> Finding:
    """Rule 7."""
    return _loss(found.test, "test accuracy", config.utility_drop_pct)


def staying(found: Utility, config: AuditConfig) -> Finding:
    """Rule 8."""
    all_, exposed = found.retain, found.exposed
    rule = _loss(all_, "accuracy on people who stay", config.utility_drop_pct)
    text = f"{rule.text} On the most exposed tenth of them: {points(exposed)}."
    if exposed.lost.low > COLLAPSE * config.utility_drop_pct:
        return Finding("failed", f"{text} They pay for the deletion.")
    return rule._replace(text=text)


def classes(found: Utility, config: AuditConfig) -> Finding:
    """Rule 9."""
    limit = COLLAPSE * config.utility_drop_pct
    number, worst = max(found.classes.items(), key=lambda item: (item[1].lost.low, item[1].lost.value))
    text = f"no class loses more than {limit:g} points for certain; the worst hit is class {number}: {points(worst)}"
    if worst.lost.low > limit:
        return Finding("failed", f"class {number} collapses: {points(worst)}, limit {limit:g}.")
    blind = [each for each, lost in found.classes.items() if lost.lost.high > 2 * limit + max(lost.lost.value, 0)]
    if len(blind) * 2 > len(found.classes):
        return Finding("inconclusive", f"{text}. Most classes have too few test records to tell a loss.")
    return Finding("passed", f"{text}.")


def sets(found: Utility) -> Finding:
    """Rule 10."""
    forget, retain, test = (found.accuracy[name]["original"] for name in ("forget", "retain", "test"))
    said = f"the original gets {percent(forget)} of the forgotten and {percent(retain)} of the staying records right"
    if forget.high < retain.value / 2:
        return Finding("failed", f"{said}, though it learned both: sets or labels are mixed up.")
    if retain.high < test.low - 5:
        return Finding("failed", f"{said}, and {percent(test)} of the test set: the sets are mixed up.")
    if forget.high - forget.low > 50 or retain.high - retain.low > 50 or test.high - test.low > 50:
        return Finding("inconclusive", f"{said}: too few records to tell whether the sets are mixed up.")
    return Finding("passed", f"{said}.")


def _loss(lost: Lost, what: str, limit: float) -> Finding:
    """Fails where more than `limit` is lost, and some of it for certain; tells nothing where much could be unseen."""
    text = f"{what}: {points(lost)}, limit {limit:g}"
    if lost.lost.value > limit and lost.lost.low > 0:
        return Finding("failed", f"{text}.")
    if lost.lost.high > COLLAPSE * limit:
        few = counted(lost.records, "record")
        return Finding("inconclusive", f"{text}: with {few}, a loss of {lost.lost.high:.0f} points would not be seen.")
    return Finding("passed", f"{text}.")


def _known(found: Membership, config: AuditConfig) -> np.ndarray:
    """Who is found at 1 % with a material share of the original's evidence, bool (P,)."""
    own, original = found.people["unlearned"], found.people["original"].evidence
    return (own.member <= LEVEL) & (own.evidence > config.share_left * np.maximum(original, 0.0))


def _standing_out(found: Membership) -> np.ndarray:
    """Who is found by low confidence, more than the original was too sure, bool (P,)."""
    own, original = found.people["unlearned"], found.people["original"].evidence
    return (own.low <= STANDS_OUT) & (-own.evidence > original)


def _near(distance: Distance | None) -> bool:
    """Whether the answers are as near to unseen references as these are to each other."""
    return bool(distance and distance.floor and distance.models["unlearned"].value <= distance.floor.high)


def _material(left: float | None, config: AuditConfig) -> bool:
    return left is None or left > config.share_left
