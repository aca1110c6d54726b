"""What the ledger can state of a completed deletion: dates, plan, approval, course, evidence, cut-over, its own head.

It names no person and holds no key. Every entry of the log that it rests on is checked against its hash; that the whole
chain holds is for `proof.verify` with the head that is given here.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tmu.ledger.errors import ChainError, ConflictError
from tmu.ledger.holds import TOO_LATE
from tmu.ledger.plans import bound_plan
from tmu.ledger.schema import approvals, audit_log, evidence
from tmu.ledger.serving import CUT_OVER
from tmu.ledger.states import ENDED, State
from tmu.ledger.store import Ledger, head_of
from tmu.ledger.transition import Request, find
from tmu.ledger.views import summary

_PLAN = ("n_records", "records_digest", "by_split", "by_class", "warnings")


def statement(ledger: Ledger, request: str, *, ending: bool = False) -> dict[str, Any]:
    """JSON-ready; the same state of the ledger gives the same statement. evidence: lists of references by kind.

    ending: also in the last state before completion, in which certificates are issued. Raises ConflictError earlier,
    ChainError where an entry of the log was changed.
    """
    with ledger.read() as connection:
        row = find(connection, request)
        if row.state not in ({State.COMPLETED, State.VERIFYING} if ending else {State.COMPLETED}):
            raise _not_completed(row)
        log = _entries(connection, audit_log.c.request_id == row.id)
        plan = bound_plan(connection, row)
        line = summary(row, ledger.now(), ledger.zone)
        return {
            "request": {name: line[name] for name in ("dataset", "received", "due", "extended", "urgent", "batch")}
            | {"id": row.id, "identity_verified": _time(row.identity_verified_at), "completed": _time(row.closed_at)},
            "plan": _plan(plan),
            "approval": _approval(connection, row),
            "course": _course(log),
            "holds_too_late": _late_holds(log),
            "evidence": _evidence(connection, row.id),
            "serving": _serving(connection, log, row),
            "ledger": {"head": str(head_of(connection)), "entries_of_request": [entry["seq"] for entry in log]},
        }


def _not_completed(row: Request) -> ConflictError:
    if row.state in ENDED:
        why = "all that it names was forgotten at another request" if row.state == State.DUPLICATE else "nothing was"
        return ConflictError(
            f"Request {row.id} has ended as `{row.state}`: {why}.", "There is no deletion of its own to be stated."
        )
    return ConflictError(f"Request {row.id} is `{row.state}`, not completed.", "Ask again when it is.")


def _plan(plan: sa.Row[Any]) -> dict[str, Any]:
    body = json.loads(plan.body)
    choice = body.get("choice", {})
    return {name: body.get(name) for name in _PLAN} | {"hash": plan.hash, "method": choice.get("method")}


def _approval(connection: sa.Connection, row: Request) -> dict[str, Any]:
    wanted = sa.select(approvals).where(approvals.c.request_id == row.id, approvals.c.voided_at.is_(None))
    approval = connection.execute(wanted).first()
    if approval is None:
        return {"at": None, "by_a_second_person": False}
    return {"at": _time(approval.approved_at), "by_a_second_person": approval.approver != row.requester}


def _course(log: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The states that the request came to, and when."""
    return [{"state": entry["facts"]["to"], "at": entry["at"]} for entry in log if "to" in entry["facts"]]


def _late_holds(log: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Legal holds that came after the erasing had begun: what is left of the records is to be kept."""
    return [{"hold": entry["facts"]["hold"], "at": entry["at"]} for entry in log if entry["event"] == TOO_LATE]


def _evidence(connection: sa.Connection, request: str) -> dict[str, list[dict[str, str]]]:
    wanted = sa.select(evidence).where(evidence.c.request_id == request)
    found: dict[str, list[dict[str, str]]] = {}
    for row in connection.execute(wanted.order_by(evidence.c.attached_at, evidence.c.kind, evidence.c.uri)):
        one = {"uri": row.uri, "digest": row.digest, "attached": _time(row.attached_at)}
        found.setdefault(row.kind, []).append(one)
    return found


def _serving(connection: sa.Connection, log: Sequence[dict[str, Any]], row: Request) -> list[dict[str, Any]]:
    """The cut-overs of the request's batch, which lie between its point of no return and its end in the log."""
    first = next(entry["seq"] for entry in log if entry["facts"].get("to") == State.FORGETTING_DATA)
    between = sa.and_(audit_log.c.seq.between(first, log[-1]["seq"]), audit_log.c.event == CUT_OVER)
    mine = [each for each in _entries(connection, between) if each["facts"].get("batch") == row.batch_id]
    names = ("version", "weights", "data", "blocked")
    return [{name: each["facts"].get(name) for name in names} | {"at": each["at"]} for each in mine]


def _entries(connection: sa.Connection, which: sa.ColumnElement[bool]) -> list[dict[str, Any]]:
    rows = connection.execute(sa.select(audit_log).where(which).order_by(audit_log.c.seq)).all()
    for row in rows:
        if hashlib.sha256(row.body.encode()).hexdigest() != row.hash:
            raise ChainError(f"Entry {row.seq} of the audit log was changed.", "Check the whole log.")
    return [json.loads(row.body) for row in rows]


def _time(at: Any) -> str | None:
    return at.isoformat() if at is not None else None
