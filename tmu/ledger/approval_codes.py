"""Codes by which a person who authenticated over HTTP approves in a form that can authenticate nobody.

A code is `NAME.EXPIRY.MAC`: MAC = HMAC(purpose, request, id of the bound plan's row, plan hash, name, expiry) under the
secret of the workspace's keys, 128 bits. The id of the row is random and shown nowhere, so that a code dies with its
plan, even if the same plan is bound once more, and cannot be made by who only knows the secret. It takes effect once:
an approval changes the request's state, and whatever leads back to an approval binds a new plan.
"""

import hmac
import re
from datetime import datetime, timedelta

from tmu.data.keys import Keys
from tmu.files import canonical_json
from tmu.ledger.actor import Actor
from tmu.ledger.approvals import refuse_unfit
from tmu.ledger.errors import ConflictError, ForbiddenError
from tmu.ledger.plans import bound_plan
from tmu.ledger.states import State
from tmu.ledger.store import Ledger, Refused
from tmu.ledger.transition import Request, find

VALID = timedelta(minutes=60)
FORM = Actor("form", "form")
"""Who redeems: a page that knows nobody."""

_CODE = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]{0,63})\.(?P<expiry>[1-9][0-9]{9,10})\.(?P<mac>[0-9a-f]{32})")
_REFUSED = "approval_code_refused"
_AGAIN = "Ask for a new one: POST /requests/{id}/approval-code, with the token of who approves."


def issue(keys: Keys, ledger: Ledger, request: str, plan_hash: str, actor: Actor) -> tuple[str, datetime]:
    """A code for the plan of that hash, as it was shown, and when it ends. Issuing it is an entry of the log.

    Raises ForbiddenError unless `actor` authenticated by a token and is not the requester, ConflictError for another
    plan than the one in force and for a request that does not wait for approval; both are on record.
    """
    with ledger.write(actor) as tx:
        row = find(tx.connection, request)
        refuse_unfit(row, actor, _REFUSED)
        if actor.method != "token":
            error = ForbiddenError("A code is for who authenticated by a token.", "Call with one.")
            raise Refused(error, _REFUSED, row.id, why="no token")
        _refuse_other_states(row)
        if plan_hash != row.plan_hash:
            error = ConflictError("The plan has changed.", "Review the new plan.")
            raise Refused(error, _REFUSED, row.id, why="another plan")
        plan, ends = bound_plan(tx.connection, row), (tx.at + VALID).replace(microsecond=0)
        tx.log("approval_code_issued", row.id, None, plan=plan.hash, ends=ends.isoformat())
    expiry = int(ends.timestamp())
    return f"{actor.name}.{expiry}.{mac_of(keys, row.id, plan.id, plan.hash, actor.name, expiry)}", ends


def redeem(keys: Keys, ledger: Ledger, request: str, code: str) -> tuple[Actor, str]:
    """Who a code proves, and the hash of the plan that it holds for, for `approvals.approve`.

    Raises ForbiddenError for a code that does not hold for this request and its plan in force, or has ended, and
    ConflictError for a request that does not wait for approval. Both are on record; the log never takes the code. Until
    the approval it may be redeemed again, so that a crash in between loses nothing.
    """
    with ledger.write(FORM) as tx:
        row = find(tx.connection, request)
        _refuse_other_states(row)
        given, plan = _CODE.fullmatch(code.strip()), bound_plan(tx.connection, row)
        expected = given and mac_of(keys, row.id, plan.id, plan.hash, given["name"], int(given["expiry"]))
        if not given or not hmac.compare_digest(expected, given["mac"]):
            error = ForbiddenError("The code is not valid for this request and its plan.", _AGAIN)
            raise Refused(error, _REFUSED, row.id, why="does not hold")
        if tx.at.timestamp() >= int(given["expiry"]):
            raise Refused(ForbiddenError("The code has expired.", _AGAIN), _REFUSED, row.id, why="ended")
        actor = Actor(given["name"], "code")
        tx.by(actor).log("approval_code_redeemed", row.id, None, plan=plan.hash)
    return actor, plan.hash


def _refuse_other_states(row: Request) -> None:
    if row.state != State.AWAITING_APPROVAL:
        error = ConflictError(f"Request {row.id} is `{row.state}`.", "It does not wait for an approval.")
        raise Refused(error, _REFUSED, row.id, why="state")


def mac_of(keys: Keys, request: str, plan_id: str, plan_hash: str, name: str, expiry: int) -> str:
    """128 bits, hex. The message is a list: the payload of a request, under the same secret, never is one."""
    return keys.payload(canonical_json(["approval code", request, plan_id, plan_hash, name, expiry]))[:32]
