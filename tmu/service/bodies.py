"""What callers send beside requests (`tmu.ledger.raw`). What may be a raw id is used once, by `naming`."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from tmu.ledger.intake import HexKey, RequestId
from tmu.ledger.raw import Body, IntakeBody, RawId
from tmu.ledger.words import MOST

MOST_REQUESTS = 500
"""Requests in one batch."""
MOST_PLANS = 10_000
"""Requests planned in one call."""

Reason = Annotated[
    str, Field(min_length=1, max_length=MOST, description="one line; names nobody, holds no id of a person")
]
PlanHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class BatchBody(Body):
    """Many requests in one transaction."""

    requests: Annotated[list[IntakeBody], Field(min_length=1, max_length=MOST_REQUESTS)]


class PlanBody(Body):
    """How to plan. method: by name, `auto`, or none for the one in params.yaml."""

    method: Annotated[str | None, Field(max_length=40)] = None


class PlansBody(PlanBody):
    """Plan many at once. requests: null means all that are queued, the oldest first."""

    requests: Annotated[list[RequestId], Field(min_length=1, max_length=MOST_PLANS)] | None = None


class CodeBody(Body):
    """The hash of the plan, as it was shown, that is to be decided on."""

    plan_hash: PlanHash


class ApprovalBody(CodeBody):
    """Approve the plan of that hash, as it was shown."""

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
