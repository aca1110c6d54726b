"""A plan and its approval lose their force: another plan took its place, or the request was held."""

import sqlalchemy as sa

from tmu.ledger.schema import approvals, plans
from tmu.ledger.store import Tx


def void(tx: Tx, request: str) -> int:
    """Void a request's plans and approvals that are in force; returns how many approvals that were."""
    for table in (plans, approvals):
        live = sa.and_(table.c.request_id == request, table.c.voided_at.is_(None))
        done = tx.execute(sa.update(table).where(live).values(voided_at=tx.at))
    return done.rowcount
