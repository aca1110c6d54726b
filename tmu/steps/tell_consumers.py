"""Tell whoever uses the models that versions were withdrawn, and say who was told and what they answered.

Consumers are the addresses in the settings `webhooks` and `apprise`. With a ledger its outbox tells them, and tries
again for three days. Without one they are told directly, once a call, until each has answered.
"""

import contextlib
import json
import secrets
import time
from pathlib import Path
from typing import Literal

from tmu.config import Config
from tmu.data.info import read_info
from tmu.errors import TmuError
from tmu.files import canonical_json, read_json, write_json
from tmu.ledger import deliveries, serving
from tmu.ledger.actor import SYSTEM
from tmu.ledger.deliveries import Message
from tmu.ledger.outbox import WITHDRAWN
from tmu.ledger.place import has_ledger, opened
from tmu.lineage.served import ended
from tmu.notify.apprise_target import AppriseTarget
from tmu.notify.sender import targets_of
from tmu.notify.target import Target
from tmu.provenance import now
from tmu.purge.record import find_record
from tmu.purge.scope import Scope
from tmu.steps.ledger.send_notifications import send_notifications
from tmu.workspace import Workspace


class Withdrawn(Config):
    """A version that is served no more. weights: their SHA-256."""

    version: int
    weights: str
    action: Literal["purged", "blocked"]


class Told(Config):
    """One consumer and its answer. consumer: 8 hex digits that stand for its address. way: how it is told.

    message: the notice's id. told: when it was written. versions: what it says. answer: `delivered`, `failed` (given
    up), `waiting`. at: when it arrived or was given up; error: the kind of the last failure. Times are ISO 8601.
    """

    consumer: str
    way: Literal["webhook", "apprise", "removed"]
    message: str
    told: str
    versions: tuple[Withdrawn, ...]
    answer: Literal["delivered", "failed", "waiting"]
    at: str = ""
    error: str = ""


def tell_consumers(workspace: Workspace, scope: Scope, certificate: str = "") -> tuple[Withdrawn, ...]:
    """Announce the versions of a purge that are served no more; the same ones once. Returns them.

    certificate: the address under which it will be, or is. To be called when a purge was verified. A consumer that does
    not answer holds nothing up. Raises ConfigError for addresses that cannot be used, where there is no ledger.
    """
    versions = _withdrawn(workspace, scope)
    if not versions:
        return ()
    facts = {
        "dataset": read_info(workspace.data).dataset,
        "versions": [each.model_dump() for each in versions],
        "requests": list(scope.requests),
        "certificate": certificate,
    }
    if not has_ledger(workspace):
        _tell_directly(workspace, scope.request, facts)
        return versions
    with opened(workspace) as ledger, ledger.write(SYSTEM) as tx:
        serving.record_withdrawn(tx, scope.request, **facts)
    with contextlib.suppress(TmuError):  # the next round of the watch tries again, and says what is wrong
        send_notifications(workspace)
    return versions


def tell_of_purge(workspace: Workspace, request: str) -> tuple[Withdrawn, ...]:
    """Tell of a deletion's purge, once it is verified and as long as its record knows which models learned."""
    record = find_record(workspace, request)
    if record is None or record.scope is None or not record.verified:
        return ()
    return tell_consumers(workspace, record.scope)


def consumers_told(workspace: Workspace, request: str) -> list[Told]:
    """Who was told of the versions that a deletion withdrew, and their answers; empty where no consumer is named.

    request: the deletion's id, or that of a request of the ledger which it served. In the ledger messages and answers
    are kept for 30 days; that there was a notice is in its log for ever.
    """
    ways: dict[str, Literal["webhook", "apprise"]] = {
        each.id: "apprise" if isinstance(each, AppriseTarget) else "webhook" for each in targets_of(workspace.settings)
    }
    if not has_ledger(workspace):
        return [Told.model_validate(each) for each in _noted(_path(workspace, request))]
    with opened(workspace) as ledger, ledger.read() as connection:
        found = deliveries.reached(connection, WITHDRAWN, ways)
    return [
        Told(
            consumer=each.target,
            way=ways.get(each.target, "removed"),
            message=each.message,
            told=body["at"],
            versions=tuple(map(Withdrawn.model_validate, body["facts"]["versions"])),
            answer=each.answer,
            at=each.at.isoformat() if each.at else "",
            error=each.error or "",
        )
        for each in found
        for body in [json.loads(each.body)]
        if request in (body["facts"]["deletion"], *body["facts"]["requests"])
    ]


def _withdrawn(workspace: Workspace, scope: Scope) -> tuple[Withdrawn, ...]:
    """The versions of the scope's models that serve nowhere and that MLflow says are purged or blocked, in order."""
    if workspace.registry.embedded and not workspace.state("mlflow.db").exists():
        return ()
    learned = ended(workspace, scope.learned)
    return tuple(
        Withdrawn(version=each.version, weights=each.weights_sha256, action="purged" if each.purged else "blocked")
        for each in workspace.registry.versions(read_info(workspace.data).dataset)
        if each.weights_sha256 in learned and each.refused
    )


def _tell_directly(workspace: Workspace, deletion: str, facts: dict[str, object]) -> None:
    path = _path(workspace, deletion)
    before = {each["consumer"]: each for each in _noted(path) if each["versions"] == facts["versions"]}
    at = now()
    notes = []
    for target in targets_of(workspace.settings):
        known = before.get(target.id)
        if known is None or known["answer"] != "delivered":
            known = _told_once(target, deletion, facts, at, known["message"] if known else secrets.token_hex(16))
        notes.append(known)
    if notes:
        write_json(path, notes)


def _told_once(target: Target, deletion: str, facts: dict[str, object], at: str, id_: str) -> dict[str, object]:
    body = {"at": at, "event": WITHDRAWN, "facts": facts | {"deletion": deletion}, "id": id_, "request": None}
    with target:
        answer = target.send(Message(0, id_, canonical_json(body | {"head": None}).decode()), int(time.time()))
    told = Told(
        consumer=target.id,
        way="apprise" if isinstance(target, AppriseTarget) else "webhook",
        message=id_,
        told=at,
        versions=tuple(map(Withdrawn.model_validate, facts["versions"])),
        answer="delivered" if answer.error is None else "failed" if answer.final else "waiting",
        at=now() if answer.error is None else "",
        error=answer.error or "",
    )
    return told.model_dump(mode="json")


def _noted(path: Path) -> list[dict[str, object]]:
    return list(read_json(path)) if path.exists() else []


def _path(workspace: Workspace, deletion: str) -> Path:
    return workspace.state("notices", f"{deletion}.json")
