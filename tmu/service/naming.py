"""Raw ids become keys here, at the edge, and only keys go on."""

from tmu.ledger import raw
from tmu.ledger.intake import Intake
from tmu.ledger.raw import IntakeBody, refuse_raw
from tmu.service.bodies import HoldBody
from tmu.service.guard import Service


def intake_of(service: Service, body: IntakeBody) -> Intake:
    """The request with keys in place of ids; see `raw.intake_of`."""
    return raw.intake_of(body, service.dataset, service.keys, "api")


def held_subject(service: Service, body: HoldBody) -> str | None:
    """The key of the person to be held. Raises RequestError where the reason holds the id."""
    if body.subject is None:
        return body.subject_key
    refuse_raw(body.reason, "reason", [body.subject])
    return service.keys.subject(body.subject)
