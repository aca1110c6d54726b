"""What a person should know of a plan before it is carried out: warnings, likely method, price, what stays.

Read from a plan's JSON, as it is bound in the ledger and kept in the journal, and worded for pages and terminals.
"""

from collections.abc import Mapping
from typing import Any

from tmu.config import Config
from tmu.deletion.plan import RETRAIN, Cost
from tmu.steps.choose_method import TOO_MANY

OLD_MODELS = "model versions that learned the records and are superseded: MLflow keeps them, blocked from service"
OLD_DATA = "old data revisions in DVC's cache and its remote"
DESTROYED = (
    "At the end all that the deletion leaves behind is destroyed and looked for again: old data revisions, models that "
    "learned the records, their outputs by record, the records' keys."
)
NOT_DESTROYED = "Nothing that the deletion leaves behind is destroyed before `tmu purge` is called (`purge.act`)."


class PlanFacts(Config):
    """A plan in sentences, the most important first.

    warnings: of risk and of the request itself. likely: the method that will be used once the gates have spoken;
    asked: the one that was chosen. why: how it was chosen. stays: what is not erased. purge: what becomes of what the
    deletion leaves behind, in a sentence.
    """

    warnings: tuple[str, ...]
    risk: str
    likely: str
    asked: str
    why: str
    price: str
    stays: tuple[str, ...]
    purge: str
    n_records: int
    n_shards: int
    counts: str

    @property
    def method(self) -> str:
        """The likely method as a sentence, with the reason."""
        if self.likely == self.asked:
            return f"`{self.asked}`. {self.why}"
        return f"`{self.likely}` (exact retraining), in place of `{self.asked}`, which a check will refuse. {self.why}"

    @property
    def headline(self) -> str:
        """One line for a list of runs or artifacts."""
        return f"Risk {self.risk}, likely by {self.likely}, {self.n_records:,} records"


def facts_of(plan: Mapping[str, Any]) -> PlanFacts:
    """plan: its body (`Plan.body`), as it is shown, approved and hashed."""
    choice = plan["choice"]
    risk, asked = choice.get("risk") or {}, choice["method"]
    likely = RETRAIN if risk.get("refusal") else asked
    return PlanFacts(
        warnings=(*_risks(choice), *plan["warnings"], *choice.get("notes", ())),
        risk=_level(risk, likely),
        likely=likely,
        asked=asked,
        why=choice["reason"],
        price=_price(choice, likely),
        stays=(*plan.get("stays", ()), *_left_behind(plan)),
        purge=DESTROYED if _purges(plan) else NOT_DESTROYED,
        n_records=plan["n_records"],
        n_shards=len(plan["shards"]),
        counts=_counts(plan),
    )


def _purges(plan: Mapping[str, Any]) -> bool:
    return bool((plan.get("purge") or {}).get("act"))


def _left_behind(plan: Mapping[str, Any]) -> tuple[str, ...]:
    """What stays of what the deletion leaves behind: what a rule keeps, or all of it."""
    if not _purges(plan):
        return (*((OLD_MODELS,) if plan["n_train"] else ()), OLD_DATA)
    return tuple(
        f"models of the role `{rule['role']}` that learned the records, for {rule['days']} days: {rule['why']}"
        for rule in plan["purge"]["keep"]
    )


def worded_cost(cost: Mapping[str, Any]) -> str:
    """A forecast as text. cost: visits, seconds (or None), measured."""
    if cost["seconds"] is None:
        return f"{cost['visits']:,} record visits"
    return worded_seconds(cost["seconds"]) + ("" if cost["measured"] else " (estimated)")


def worded_seconds(seconds: float) -> str:
    """With what digits they need."""
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"


def _risks(choice: Mapping[str, Any]) -> list[str]:
    risk, method, found = choice.get("risk") or {}, choice["method"], []
    refusal = risk.get("refusal") or ""
    if refusal and method != RETRAIN:
        found.append(f"A check will refuse `{method}`: {refusal}. Exact retraining takes over.")
    elif refusal and refusal not in choice["reason"]:  # nothing refuses a retraining
        found.append(f"The references cannot be used here: {refusal}.")
    if risk.get("failed", 0) >= TOO_MANY and method != RETRAIN:
        found.append(
            f"`{method}` failed {risk['failed']} of its last {risk['audits']} audits here. "
            "If it fails again, the retrained model goes into service."
        )
    return found


def _level(risk: Mapping[str, Any], likely: str) -> str:
    """The level as a person reads it. A retraining never sees the records, whatever speaks against another way."""
    if not risk:
        return "none"
    if likely == RETRAIN:
        return "low"
    return "not known yet" if risk["level"] == "unknown" else risk["level"]


def _price(choice: Mapping[str, Any], likely: str) -> str:
    """Seconds and share of a retraining: the request itself, its audit, its part of what serves many requests."""
    forecast = choice.get("forecast") or {}
    if likely not in forecast:
        return "erasing the records from the data; no model is trained"
    if likely == RETRAIN:
        return f"{worded_cost(forecast[RETRAIN])} for the retraining"
    parts = {f"{likely} alone": "for the request itself", "twin": "for its twin", "audit": "for its audit"}
    said = [f"{_shared(forecast, name)} {what}" for name, what in parts.items() if name in forecast]
    if "references" in forecast:
        said.append(f"{_shared(forecast, 'references')} as its part of the references, {_once(choice)}")
    return "; ".join(said) + _pays(choice)


def _once(choice: Mapping[str, Any]) -> str:
    """What the part of the references is a part of: networks and twin problems, each as a whole, and what is there."""
    forecast = choice["forecast"]
    whole = [
        f"{_shared(forecast, name)} for their {name}" for name in ("networks", "twin problems") if name in forecast
    ]
    if choice.get("to_fit"):
        still = "which have still to be fitted"
    elif choice.get("problems_to_fit"):
        still = "which are there already, but for their twin problems"
    else:
        still = "which are there already"
    return still + (f": {' and '.join(whole)}, once for {choice['among']} requests" if whole else "")


def _shared(forecast: Mapping[str, Mapping[str, Any]], name: str) -> str:
    share = share_of_retraining(forecast, name)
    return worded_cost(forecast[name]) + (f" ({share} of a retraining)" if share else "")


def share_of_retraining(forecast: Mapping[str, Mapping[str, Any]], name: str) -> str:
    """A way's share in words; empty where it cannot be told."""
    share = Cost(**forecast[name]).share_of(Cost(**forecast[RETRAIN]))
    return "" if share is None else worded_share(share)


def worded_share(share: float) -> str:
    """A share as per cent, with what digits it needs."""
    return f"{100 * share:.{0 if share >= 0.1 else 1}f} %"


def _pays(choice: Mapping[str, Any]) -> str:
    """From which deletion on the references have paid for themselves."""
    if "references" not in choice["forecast"]:
        return ""
    if choice.get("pays_from") is None:
        return "; at these prices the references never pay for themselves"
    this = choice.get("deletions", 0) + 1
    return f"; the references pay for themselves from deletion {choice['pays_from']} on, and this is number {this}"


def _counts(plan: Mapping[str, Any]) -> str:
    """The records of a plan by split, those of training by class, as a sentence."""
    classes = ", ".join(f"{count} of `{name}`" for name, count in plan["by_class"].items() if count)
    splits = {split: f"{count:,} {split}" for split, count in plan["by_split"].items() if count}
    if classes:
        splits["train"] += f" ({classes})"
    return f"{', '.join(splits.values())}."
