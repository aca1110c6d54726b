"""Raw ids become keys here, at the edge, and only keys go on."""

from collections.abc import Sequence
from contextlib import nullcontext

from tmu.ledger import raw
from tmu.ledger.intake import Intake
from tmu.ledger.raw import IntakeBody, refuse_blanks, refuse_raw
from tmu.service.bodies import HoldBody
from tmu.service.guard import Service
from tmu.steps.find_copies import CopyFinder


def intakes_of(service: Service, bodies: Sequence[IntakeBody]) -> list[Intake]:
    """The requests with keys in place of ids; see `raw.intake_of`. Reads the data where one asks for copies."""
    finder = CopyFinder(service.workspace)
    with service.heavy.turn() if any(body.with_copies for body in bodies) else nullcontext():
        return [raw.intake_of(body, service.dataset, service.keys, "api", finder.find) for body in bodies]


def held_subject(service: Service, body: HoldBody) -> str | None:
    """The key of the person to be held. Raises RequestError where the reason holds the id."""
    if body.subject is None:
        return body.subject_key
    refuse_raw(body.reason, "reason", [body.subject])
    refuse_blanks(service.keys, [body.subject])
    return service.keys.subject(body.subject)
