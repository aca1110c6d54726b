"""What callers send. Strict: no unknown names, no conversions; what may be a raw id is used once, by `naming`."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from tmu.ledger.intake import MOST_KEYS, HexKey, RequestId
from tmu.ledger.words import MOST

MOST_REQUESTS = 500
"""Requests in one batch."""

RawId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
RawIds = Annotated[list[RawId], Field(max_length=MOST_KEYS)]
HexKeys = Annotated[list[HexKey], Field(max_length=MOST_KEYS)]
Reason = Annotated[
    str, Field(min_length=1, max_length=MOST, description="one line; names nobody, holds no id of a person")
]
PlanHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Dataset = Annotated[
    str | None, Field(max_length=100, description="the dataset that this service serves; may be left out")
]


class Body(BaseModel):
    """Base of all bodies."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class IntakeBody(Body):
    """A deletion request. Raw ids become keys (HMAC) at once and are neither stored nor logged nor repeated."""

    id: Annotated[RequestId, Field(description="chosen by the caller, for repeating the call; no id of a person")]
    dataset: Dataset = None
    subjects: Annotated[RawIds, Field(description="raw ids of people: all their records")] = []
    records: Annotated[RawIds, Field(description="raw ids of single records")] = []
    subject_keys: HexKeys = []
    record_keys: HexKeys = []
    urgent: bool = Field(False, description="served in the urgent lane, not in the nightly batch")
    identity_verified: bool = Field(True, description="false: the clock stands still until the identity is verified")

    @model_validator(mode="after")
    def _names_something(self) -> "IntakeBody":
        people, records = len(self.subjects) + len(self.subject_keys), len(self.records) + len(self.record_keys)
        if not people and not records:
            raise ValueError("the request names nobody and nothing")
        if max(people, records) > MOST_KEYS:
            raise ValueError(f"the request names more than {MOST_KEYS} people or records")
        return self


class BatchBody(Body):
    """Many requests in one transaction."""

    requests: Annotated[list[IntakeBody], Field(min_length=1, max_length=MOST_REQUESTS)]


class PlanBody(Body):
    """How to plan. method: by name, `auto`, or none for the one in params.yaml."""

    method: Annotated[str | None, Field(max_length=40)] = None


class ApprovalBody(Body):
    """Approve the plan of that hash, as it was shown."""

    plan_hash: PlanHash
    reason: Reason | None = None


class ReasonBody(Body):
    """A decision with its reason. It goes into the audit log for ever."""

    reason: Reason


class OptionalReasonBody(Body):
    """A decision that may have a reason."""

    reason: Reason | None = None


class CancelBody(ReasonBody):
    """Take a request back. withdrawn: the requester did; always so where a requester's token calls."""

    withdrawn: bool = False


class HoldBody(ReasonBody):
    """A legal hold on everything, on the dataset, or on one person by raw id or key."""

    scope: Literal["all", "dataset", "subject"]
    subject: RawId | None = None
    subject_key: HexKey | None = None

    @model_validator(mode="after")
    def _scope_is_clear(self) -> "HoldBody":
        if [self.subject is not None, self.subject_key is not None].count(True) != (self.scope == "subject"):
            raise ValueError("a hold on a subject names one, any other hold names none")
        return self
