"""Raw ids become keys here, at the edge, and only keys go on."""

import re
from collections.abc import Iterable

from tmu.errors import RequestError
from tmu.ledger.intake import Intake
from tmu.service.bodies import HoldBody, IntakeBody
from tmu.service.guard import Service

_PLAIN = 4
"""Letters from which on an id is looked for inside other words; shorter ones (`7`) count as whole words only."""


def intake_of(service: Service, body: IntakeBody) -> Intake:
    """The request with keys in place of ids. Raises RequestError for another dataset, or an id inside `id`."""
    if body.dataset not in (None, service.dataset):
        raise RequestError("The request is for a dataset that is not served here.", "Leave `dataset` out.")
    refuse_raw(body.id, "id", [*body.subjects, *body.records])
    return Intake(
        id=body.id,
        dataset=service.dataset,
        subjects=(*map(service.keys.subject, body.subjects), *body.subject_keys),
        records=(*map(service.keys.record, body.records), *body.record_keys),
        urgent=body.urgent,
        identity_verified=body.identity_verified,
        source="api",
    )


def held_subject(service: Service, body: HoldBody) -> str | None:
    """The key of the person to be held. Raises RequestError where the reason holds the id."""
    if body.subject is None:
        return body.subject_key
    refuse_raw(body.reason, "reason", [body.subject])
    return service.keys.subject(body.subject)


def refuse_raw(text: str, name: str, raw_ids: Iterable[str]) -> None:
    """Raise RequestError where a text that will be stored holds one of the ids that were sent with it."""
    lower = text.casefold()
    words = {lower, *re.split(r"[^\w]+|_", lower)}
    for raw in map(str.casefold, raw_ids):
        if raw in words or (len(raw) >= _PLAIN and raw in lower):
            raise RequestError(
                f"`{name}` holds an id of this very call.", "It would be stored: leave the id out of it."
            )
