"""Plans and their approvals lose their force: another plan took its place, or the request was held."""

from collections.abc import Iterable

import sqlalchemy as sa

from tmu.ledger.entries import chunks
from tmu.ledger.schema import approvals, plans
from tmu.ledger.store import Tx


def void(tx: Tx, request: str) -> int:
    """Void a request's plans and approvals that are in force; returns how many approvals that were."""
    return void_all(tx, [request])[request]


def void_all(tx: Tx, requests: Iterable[str]) -> dict[str, int]:
    """The same for many requests: how many approvals each of them lost."""
    lost = dict.fromkeys(requests, 0)
    for part in chunks(lost):
        live = [sa.and_(table.c.request_id.in_(part), table.c.voided_at.is_(None)) for table in (plans, approvals)]
        for request in tx.execute(sa.select(approvals.c.request_id).where(live[1])).scalars():
            lost[request] += 1
        for table, condition in zip((plans, approvals), live, strict=True):
            tx.execute(sa.update(table).where(condition).values(voided_at=tx.at))
    return lost
