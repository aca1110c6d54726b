"""A request as its sender writes it: by API, as a file, on the command line. One form, one edge.

What may be a raw id becomes a key here, and is forgotten.
"""

import re
from collections.abc import Callable, Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from tmu.data.ids import alike
from tmu.data.keys import Keys
from tmu.errors import RequestError
from tmu.ledger.intake import MOST_KEYS, HexKey, Intake, RequestId


def _without_blanks(raw: str) -> str:
    if raw != raw.strip():
        raise ValueError("an id begins or ends with a blank, and would match nobody")
    return raw


RawId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""An id of a person; `Keys.subject` brings it into its normal form."""
RawIds = Annotated[list[RawId], Field(max_length=MOST_KEYS)]
RawRecordId = Annotated[RawId, AfterValidator(_without_blanks)]
RawRecordIds = Annotated[list[RawRecordId], Field(max_length=MOST_KEYS)]
HexKeys = Annotated[list[HexKey], Field(max_length=MOST_KEYS)]
Dataset = Annotated[
    str | None, Field(max_length=100, description="the dataset that this service serves; may be left out")
]
_PLAIN = 4
"""Letters from which on an id is looked for inside other words; shorter ones (`7`) count as whole words only."""


class Body(BaseModel):
    """Base of all that is sent. Strict: no unknown names, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class RequestFile(Body):
    """A deletion request in a file that a command names: nothing has to be there, and the command says the rest."""

    id: Annotated[
        RequestId | None, Field(description="chosen by the caller, for repeating the call; no id of a person")
    ] = None
    dataset: Dataset = None
    subjects: Annotated[RawIds, Field(description="raw ids of people: all their records")] = []
    records: Annotated[RawRecordIds, Field(description="raw ids of single records")] = []
    subject_keys: HexKeys = []
    record_keys: HexKeys = []
    with_copies: bool = Field(False, description="also all records with the same pictures, including other people's")
    urgent: bool = Field(False, description="served in the urgent lane, not in the nightly batch")
    identity_verified: bool = Field(True, description="false: the clock is stopped until the identity is verified")

    @property
    def raw_ids(self) -> list[str]:
        """What must not be stored."""
        return [*self.subjects, *self.records]


class IntakeBody(RequestFile):
    """A deletion request. Raw ids become keys (HMAC) at once and are neither stored nor logged nor repeated."""

    id: Annotated[RequestId, Field(description="chosen by the caller, for repeating the call; no id of a person")]

    @model_validator(mode="after")
    def _names_something(self) -> "IntakeBody":
        people, records = len(self.subjects) + len(self.subject_keys), len(self.records) + len(self.record_keys)
        if not people and not records:
            raise ValueError("the request names no person and no record")
        if max(people, records) > MOST_KEYS:
            raise ValueError(f"the request names more than {MOST_KEYS} people or records")
        return self


Copies = Callable[[Iterable[str], Iterable[str]], list[str]]
"""Keys of the records with the same pictures as those of the subject keys and record keys given (`find_copies`)."""


def intake_of(
    body: RequestFile, dataset: str, keys: Keys, source: Literal["cli", "api", "file"], copies: Copies
) -> Intake:
    """The request with keys in place of ids. Raises RequestError for another dataset, an id inside `id`, or an id of a
    person that holds an unseen character.
    """
    if body.dataset not in (None, dataset):
        raise RequestError("The request is for a dataset that is not served here.", "Leave `dataset` out.")
    refuse_raw(body.id, "id", body.raw_ids)
    refuse_blanks(keys, body.subjects)
    subjects, records = keyed(body, keys)
    found = copies(subjects, records) if body.with_copies else []
    if len(found) > MOST_KEYS:
        raise RequestError(f"There are more than {MOST_KEYS} copies.", "Split the request, or leave `with_copies` out.")
    return Intake(
        id=body.id,
        dataset=dataset,
        subjects=subjects,
        records=records,
        with_copies=body.with_copies,
        copies=tuple(found),
        urgent=body.urgent,
        identity_verified=body.identity_verified,
        source=source,
    )


def keyed(body: RequestFile, keys: Keys) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Subject keys and record keys, in the order in which they are named. Raises RequestError as `Keys.subject`."""
    return (
        (*map(keys.subject, body.subjects), *body.subject_keys),
        (*map(keys.record, body.records), *body.record_keys),
    )


def refuse_blanks(keys: Keys, subjects: Iterable[str]) -> None:
    """Raise RequestError for a blank at an id's end where the store's rule of ids would not remove it: the key would be
    nobody's, and a request or a hold of nobody would be on record.
    """
    if keys.ids.version == 1 and any(raw != raw.strip() for raw in subjects):
        raise RequestError("An id begins or ends with a blank, and would match nobody.", "Remove the blank.")


def refuse_raw(text: str, name: str, raw_ids: Iterable[str]) -> None:
    """Raise RequestError where a text that will be stored holds one of the ids that were sent with it, in any case,
    width or Unicode form.
    """
    lower = alike(text)
    words = {lower, *re.split(r"[^\w]+|_", lower)}
    for raw in map(alike, raw_ids):
        if raw and (raw in words or (len(raw) >= _PLAIN and raw in lower)):
            raise RequestError(f"`{name}` contains an id of this call.", "It would be stored: leave the id out of it.")
