"""What a person should know of a plan before it is carried out: warnings, likely method, price, what stays.

Read from a plan's JSON, as it is bound in the ledger and kept in the journal, and worded for pages and terminals.
"""

from collections.abc import Mapping
from typing import Any

from tmu.config import Config
from tmu.steps.choose_method import RETRAIN, TOO_MANY

AUDIT_GOLDS = 2
"""Models that an audit retrains for comparison, besides the request's own."""
OLD_MODELS = "model versions that learned the records and are superseded: MLflow keeps them, blocked from service"
OLD_DATA = "old data revisions in DVC's cache and its remote"


class PlanFacts(Config):
    """A plan in sentences, the most important first.

    warnings: of risk and of the request itself. likely: the method that will be used once the gates have spoken;
    asked: the one that was chosen. why: how it was chosen. stays: what is not erased.
    """

    warnings: tuple[str, ...]
    risk: str
    likely: str
    asked: str
    why: str
    price: str
    stays: tuple[str, ...]
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
        warnings=(*_risks(risk, asked), *plan["warnings"]),
        risk=_level(risk, likely),
        likely=likely,
        asked=asked,
        why=choice["reason"],
        price=_price(choice.get("forecast") or {}, likely),
        stays=(*plan.get("stays", ()), *((OLD_MODELS,) if plan["n_train"] else ()), OLD_DATA),
        n_records=plan["n_records"],
        n_shards=len(plan["shards"]),
        counts=_counts(plan),
    )


def worded_cost(cost: Mapping[str, Any]) -> str:
    """A forecast as text. cost: visits, seconds (or None), measured."""
    if cost["seconds"] is None:
        return f"{cost['visits']:,} record visits"
    seconds = f"{cost['seconds']:.1f} s" if cost["seconds"] < 10 else f"{cost['seconds']:,.0f} s"
    return seconds + ("" if cost["measured"] else " (estimated)")


def _risks(risk: Mapping[str, Any], method: str) -> list[str]:
    found = []
    if risk.get("refusal"):
        found.append(
            f"The shift test will refuse `{method}`: {risk['refusal']}. "
            f"{'The model is retrained' if method == RETRAIN else 'Exact retraining takes over'}."
        )
    if risk.get("failed", 0) >= TOO_MANY:
        found.append(
            f"`{method}` failed {risk['failed']} of its last {risk['audits']} audits here. "
            "If it fails again, the retrained model goes into service."
        )
    return found


def _level(risk: Mapping[str, Any], likely: str) -> str:
    """The level as a person reads it; exact retraining has none of its own."""
    if not risk:
        return "none"
    return "not known yet" if risk["level"] == "unknown" and likely != RETRAIN else risk["level"]


def _price(forecast: Mapping[str, Mapping[str, Any]], likely: str) -> str:
    if likely not in forecast:
        return "erasing the records from the data; no model is trained"
    retrain = forecast[RETRAIN]
    seconds = retrain["seconds"] and AUDIT_GOLDS * retrain["seconds"]
    golds = {"visits": AUDIT_GOLDS * retrain["visits"], "seconds": seconds, "measured": retrain["measured"]}
    audit = f"{worded_cost(golds)} for the audit's {AUDIT_GOLDS} retrained models"
    return f"{worded_cost(forecast[likely])}, and {audit}"


def _counts(plan: Mapping[str, Any]) -> str:
    """The records of a plan by split, those of training by class, as a sentence."""
    classes = ", ".join(f"{count} of `{name}`" for name, count in plan["by_class"].items() if count)
    splits = {split: f"{count:,} {split}" for split, count in plan["by_split"].items() if count}
    if classes:
        splits["train"] += f" ({classes})"
    return f"{', '.join(splits.values())}."
