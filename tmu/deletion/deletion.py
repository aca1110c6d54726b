"""`Deletion`: one acknowledged request, from its plan to its end. A value: each step gives a new one."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import computed_field, model_validator

from tmu.config import EXACT_HEAD, Config, Params
from tmu.deletion.plan import RETRAIN, Asked, Plan
from tmu.provenance import now
from tmu.purge.summary import PurgeSummary
from tmu.refs import AuditRef, DataRef, ForgetRef, ModelRef, ReferencesRef, TwinRef


class Stage(StrEnum):
    """How far a deletion has come. From `erasing` on bytes of the data may be gone: it can only be finished.

    From `purging` on models and keys may be gone as well: no earlier stage can be repeated.
    """

    ACKNOWLEDGED = "acknowledged"
    ERASING = "erasing"
    ERASED = "erased"
    UNLEARNED = "unlearned"
    AUDITED = "audited"
    PURGING = "purging"
    COMPLETED = "completed"
    WITHDRAWN = "withdrawn"


_ORDER = (*(stage for stage in Stage if stage is not Stage.WITHDRAWN),)


class AuditVerdict(Config):
    """What the audit says of the row that it judges; see `tmu/audit/gate.py`."""

    row: str
    passed: bool
    conclusive: bool = True
    reasons: tuple[str, ...] = ()

    @computed_field  # type: ignore[prop-decorator]  # pydantic documents it so
    @property
    def outcome(self) -> Literal["passed", "failed", "inconclusive"]:
        """In one word."""
        if not self.passed:
            return "failed"
        return "passed" if self.conclusive else "inconclusive"

    @classmethod
    def of(cls, raw: dict[str, Any]) -> "AuditVerdict":
        """The verdict of a stored audit, of this version or of an earlier one."""
        return cls(**{name: raw[name] for name in cls.model_fields if name in raw})

    def public(self) -> dict[str, Any]:
        """As certificates and `--json` show it: one word for the outcome."""
        return {"row": self.row, "outcome": self.outcome, "reasons": list(self.reasons)}

    @model_validator(mode="before")
    @classmethod
    def _without_outcome(cls, raw: Any) -> Any:
        """The outcome follows from the other fields."""
        return {name: value for name, value in raw.items() if name != "outcome"} if isinstance(raw, dict) else raw


class Outcome(Config):
    """An audit and what follows from it. versions: registered versions by row. champion: the one to put into service.

    serves: that version's model. waits: it is not put into service before the next request (`audit.inconclusive`).
    service: which one and why, in a sentence. sentence: what the audit says of the people. compare, alignment: MLflow's
    pages of the versions, with all metrics and on how close they are to the gold (empty without golds).
    """

    audit: AuditRef
    verdict: AuditVerdict
    versions: dict[str, int]
    champion: int
    serves: ModelRef
    waits: bool = False
    service: str
    sentence: str = ""
    compare: str
    alignment: str = ""


class Shredded(Config):
    """What is left of a deletion's keys. commitment: to all of them, under a salt that nobody kept."""

    at: str
    subjects: int
    records: int
    commitment: str


class Deletion(Config):
    """An acknowledged deletion.

    params: the parameters at acknowledgement, with the method resolved; after a gate refused, the method that took
    over. No stage reads params.yaml. audited: whether it is to be audited. forget: what to erase. base: the model that
    learned it. references: the table of the data with it, which is the audit's proof; None: there was none, and none
    was needed. references_after: the table without its rows. data: the revision without it. refused: why the method was
    not used, or not kept; failed_audit: the audit that it failed then. service: what serves in the end. purged: what
    became of all that it left behind; None: no purge was begun. run: MLflow's run of the whole batch. times: when each
    stage was reached. shredded: what is left of the keys of `asked` and `plan` once they were destroyed.
    """

    format: Literal[2] = 2
    id: str
    stage: Stage
    asked: Asked
    plan: Plan
    params: Params
    audited: bool = True
    forget: ForgetRef
    base: ModelRef | None = None
    references: ReferencesRef | None = None
    references_after: ReferencesRef | None = None
    data: DataRef | None = None
    twin: TwinRef | None = None
    unlearned: ModelRef | None = None
    refused: str | None = None
    failed_audit: AuditRef | None = None
    outcome: Outcome | None = None
    service: str | None = None
    purged: PurgeSummary | None = None
    run: str | None = None
    times: dict[Stage, str]
    shredded: Shredded | None = None

    @classmethod
    def acknowledged(cls, plan: Plan, asked: Asked, params: Params, forget: ForgetRef) -> "Deletion":
        """A new one. params: as read, `auto` unresolved; the plan's choice resolves the method."""
        return cls(
            id=plan.id,
            stage=Stage.ACKNOWLEDGED,
            asked=asked,
            plan=plan.model_copy(update={"records": ()}),  # the forget set holds them
            params=params.stored().with_method(plan.choice.method),
            forget=forget,
            times={Stage.ACKNOWLEDGED: now()},
        )

    @property
    def every_key(self) -> frozenset[str]:
        """The keys that `asked` and `plan` name."""
        return frozenset((*self.asked.subjects, *self.asked.records, *self.plan.subjects))

    @property
    def n_subjects(self) -> int:
        """How many people the plan names."""
        return self.shredded.subjects if self.shredded else len(self.plan.subjects)

    def without_keys(self, commitment: str, digest: str) -> "Deletion":
        """The deletion without its keys. digest: what stands for the digest of its records from now on."""
        left = Shredded(
            at=now(), subjects=len(self.plan.subjects), records=len(self.asked.records), commitment=commitment
        )
        plan = self.plan.model_copy(update={"subjects": (), "records_digest": digest})
        return self._with(shredded=left, asked=Asked(batch=self.asked.batch), plan=plan)

    @property
    def method(self) -> str:
        """The unlearning method."""
        return self.params.unlearn.method

    @property
    def retrained(self) -> bool:
        """Whether the model is retrained, and thus the paired gold itself."""
        return self.method == RETRAIN

    @property
    def exact(self) -> bool:
        """Whether the model is what retraining gives: it is retrained, or its head solved without the records."""
        return self.method in (RETRAIN, EXACT_HEAD)

    @property
    def by_recomputation(self) -> bool:
        """Whether equality is the proof: what a ridge head was solved from is summed anew (docs/exact-head.md)."""
        return self.params.ridge_head

    @property
    def by_golds(self) -> bool:
        """Whether retrained golds are the proof, in place of the references."""
        return self.params.audit.golds

    @property
    def provable(self) -> bool:
        """Whether an audit can say something: of a retrained model without references, or with an output less, there
        is none, unless it has a ridge head.
        """
        return not self.plan.retires and (self.by_recomputation or self.by_golds or self.references is not None)

    @property
    def learned(self) -> bool:
        """Whether a model has learned any of the records."""
        return self.plan.n_train > 0

    @property
    def open(self) -> bool:
        """Whether there is something left to do."""
        return self.stage not in (Stage.COMPLETED, Stage.WITHDRAWN)

    @property
    def why(self) -> list[str]:
        """How the model came to be, in sentences: choice of method, a gate that refused, what went into service."""
        return [text for text in (self.plan.choice.reason, self.refused, self.service) if text]

    def has_reached(self, stage: Stage) -> bool:
        """Whether it has come to a stage, or past it."""
        return self.stage in _ORDER and _ORDER.index(self.stage) >= _ORDER.index(stage)

    def reached(self, stage: Stage, **facts: Any) -> "Deletion":
        """The deletion at a stage, with what is known since. One that is further already stays as it is."""
        if self.stage is not stage and self.has_reached(stage):
            return self
        return self._with(stage=stage, times={stage: now()} | self.times, **facts)

    def withdrawn(self) -> "Deletion":
        """The deletion taken back."""
        return self._with(stage=Stage.WITHDRAWN, times=self.times | {Stage.WITHDRAWN: now()})

    def _with(self, **changes: Any) -> "Deletion":
        """A changed copy, checked as a new one would be."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**(fields | changes))
