"""A request as its sender writes it, by API or file. What may be a raw id becomes a key here, and is forgotten."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from tmu.data.keys import Keys
from tmu.errors import RequestError
from tmu.ledger.intake import MOST_KEYS, HexKey, Intake, RequestId


def _without_blanks(raw: str) -> str:
    if raw != raw.strip():
        raise ValueError("an id begins or ends with a blank, and would be nobody's")
    return raw


RawId = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_without_blanks)]
RawIds = Annotated[list[RawId], Field(max_length=MOST_KEYS)]
HexKeys = Annotated[list[HexKey], Field(max_length=MOST_KEYS)]
Dataset = Annotated[
    str | None, Field(max_length=100, description="the dataset that this service serves; may be left out")
]
_PLAIN = 4
"""Letters from which on an id is looked for inside other words; shorter ones (`7`) count as whole words only."""


class Body(BaseModel):
    """Base of all that is sent. Strict: no unknown names, no conversions."""

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


def intake_of(body: IntakeBody, dataset: str, keys: Keys, source: Literal["api", "file"]) -> Intake:
    """The request with keys in place of ids. Raises RequestError for another dataset, or an id inside `id`."""
    if body.dataset not in (None, dataset):
        raise RequestError("The request is for a dataset that is not served here.", "Leave `dataset` out.")
    refuse_raw(body.id, "id", [*body.subjects, *body.records])
    return Intake(
        id=body.id,
        dataset=dataset,
        subjects=(*map(keys.subject, body.subjects), *body.subject_keys),
        records=(*map(keys.record, body.records), *body.record_keys),
        urgent=body.urgent,
        identity_verified=body.identity_verified,
        source=source,
    )


def refuse_raw(text: str, name: str, raw_ids: Iterable[str]) -> None:
    """Raise RequestError where a text that will be stored holds one of the ids that were sent with it."""
    lower = _folded(text)
    words = {lower, *re.split(r"[^\w]+|_", lower)}
    for raw in map(_folded, raw_ids):
        if raw in words or (len(raw) >= _PLAIN and raw in lower):
            raise RequestError(
                f"`{name}` holds an id of this very call.", "It would be stored: leave the id out of it."
            )


def _folded(text: str) -> str:
    """Without regard to case and to how accents are spelled."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
