"""What a request took, beside one retraining: itself, its audit, its part of what serves many requests."""

from collections.abc import Iterator
from contextlib import suppress

from tmu.audit.table import ORIGINAL
from tmu.config import Config
from tmu.deletion.deletion import Deletion
from tmu.deletion.plan import RETRAIN
from tmu.errors import StorageError
from tmu.refs import AuditRef, ModelRef, TwinRef
from tmu.steps.audit_models import GOLD_ROWS
from tmu.steps.history import History
from tmu.steps.loading import run_record
from tmu.steps.plan_facts import worded_seconds, worded_share
from tmu.steps.read_references import read_run
from tmu.workspace import Workspace


class Price(Config):
    """Seconds. request: the model that was made at the request, and one that its audit refused. retraining: what one
    took, where one was trained, else its forecast; None where nothing here tells. part: the request's part of
    references and twin; None without them. networks, problems: the references, and the twin problems on them, as a
    whole: once for many requests. pays_from: the deletion from which on the references have paid for themselves;
    number: which this one is.
    """

    request: float
    audit: float | None = None
    part: float | None = None
    networks: float | None = None
    problems: float | None = None
    retraining: float | None = None
    pays_from: int | None = None
    number: int | None = None

    @property
    def shares(self) -> dict[str, float]:
        """Per cent of a retraining by part: what MLflow keeps; empty where a retraining's seconds are not known."""
        if not self.retraining:
            return {}
        parts = {"cost_request_pct": self.request, "cost_audit_pct": self.audit, "cost_references_pct": self.part}
        return {name: 100 * seconds / self.retraining for name, seconds in parts.items() if seconds is not None}

    @property
    def sentence(self) -> str:
        """The same in words."""
        said = [self._worded(seconds, what) for seconds, what in self._parts() if seconds is not None]
        if self.pays_from is not None:
            said.append(f"the references pay for themselves from deletion {self.pays_from} on, this is {self.number}")
        return f"It took {'; '.join(said)}."

    def _parts(self) -> Iterator[tuple[float | None, str]]:
        yield self.request, "for the model"
        yield self.audit, "for its audit"
        once = {"networks": self.networks, "twin problems": self.problems}
        whole = [f"{worded_seconds(seconds)} for their {name}" for name, seconds in once.items() if seconds is not None]
        yield self.part, "as its part of the references" + (f", once {' and '.join(whole)}" if whole else "")

    def _worded(self, seconds: float, what: str) -> str:
        share = f" ({worded_share(seconds / self.retraining)} of a retraining)" if self.retraining else ""
        return f"{worded_seconds(seconds)}{share} {what}"


def price_of(workspace: Workspace, deletion: Deletion, audit: AuditRef | None) -> Price:
    """What the deletion took so far. audit: the one that decided; golds count to it, as they were trained for it."""
    choice, speed = deletion.plan.choice, History(workspace, deletion.params).seconds_per_visit()
    forecast = {  # what the plan could not tell in seconds: by the speed that is known since
        name: cost.visits * speed if cost.seconds is None and speed else cost.seconds
        for name, cost in choice.forecast.items()
    }
    used = deletion.references is not None
    once = _once(workspace, deletion, forecast) if used and "references" in forecast else {}
    audits = [ref for ref in (deletion.failed_audit, audit) if ref is not None]
    return Price(
        request=_of_models(workspace, deletion),
        audit=sum(_seconds(workspace, ref) for ref in audits) if audits else None,
        **once,
        retraining=_took(workspace, deletion, audits) or forecast.get(RETRAIN),
        pays_from=choice.pays_from if used else None,
        number=choice.deletions + 1 if used else None,
    )


def _once(workspace: Workspace, deletion: Deletion, forecast: dict[str, float | None]) -> dict[str, float | None]:
    """What references and twin problems took, and the request's part of both; where they are gone, as foreseen."""
    once = {to: forecast.get(name) for name, to in (("networks", "networks"), ("twin problems", "problems"))}
    with suppress(StorageError):
        once["networks"] = float(read_run(workspace, deletion.references)["seconds_total"])
        if "twin problems" in forecast and deletion.twin is not None:
            once["problems"] = _seconds(workspace, deletion.twin)
    whole = [once[name] for name in once if name == "networks" or "twin problems" in forecast]
    among = deletion.plan.choice.among
    if among is None:  # a plan of an earlier version foresees the part and does not tell of how many it is one
        return once | {"part": forecast.get("references")}
    return once | {"part": None if None in whole else sum(whole) / among}


def _took(workspace: Workspace, deletion: Deletion, audits: list[AuditRef]) -> float | None:
    """Seconds of the retraining that the deletion needed, or of its audit's gold; None where there was neither."""
    if deletion.retrained and deletion.unlearned is not None:
        return _seconds(workspace, deletion.unlearned)
    records = [run_record(workspace, ref).get("seconds_by_row", {}).get("alone", {}) for ref in audits]
    return next((float(rows[GOLD_ROWS[0]]) for rows in records if GOLD_ROWS[0] in rows), None)


def _of_models(workspace: Workspace, deletion: Deletion) -> float:
    """Of the model that serves the request, and of the one that its audit refused before."""
    own = _seconds(workspace, deletion.unlearned) if deletion.unlearned else 0.0
    if deletion.failed_audit is None:
        return own
    rows = run_record(workspace, deletion.failed_audit)["seconds_by_row"]["alone"]
    return own + sum(float(seconds) for row, seconds in rows.items() if row != ORIGINAL)


def _seconds(workspace: Workspace, ref: ModelRef | AuditRef | TwinRef) -> float:
    return float(run_record(workspace, ref)["seconds_total"])
