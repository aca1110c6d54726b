"""The register's rows: of all requests of the ledger, else of the deletions in the journal."""

import json
from typing import Any

import sqlalchemy as sa

from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.evidence.register import Row
from tmu.files import sha256_file
from tmu.ledger import views
from tmu.ledger.place import has_ledger, opened
from tmu.ledger.schema import audit_log, plans
from tmu.ledger.schema import requests as table
from tmu.ledger.states import State
from tmu.ledger.store import Ledger
from tmu.steps.stored_certificate import NAME, folder_of
from tmu.workspace import Workspace

ERASURE = "GDPR 17(1): the person asked"


def register_of(workspace: Workspace, request: str | None = None) -> list[Row]:
    """All rows, the oldest request first; or the one of a request (none where there is no such)."""
    deletions = {each.asked.batch or each.id: each for each in Journal(workspace).all()}
    rows = [_of_deletion(workspace, each) for each in deletions.values() if each.asked.batch is None]
    if has_ledger(workspace):
        with opened(workspace) as ledger:
            rows += [_of_request(workspace, ledger, line, deletions) for line in views.listing(ledger)]
    return [row for row in sorted(rows, key=lambda row: (row.received, row.request)) if request in (None, row.request)]


def _of_deletion(workspace: Workspace, deletion: Deletion) -> Row:
    done, plan = deletion.times.get(Stage.COMPLETED, ""), deletion.plan
    return Row(
        request=deletion.id,
        received=deletion.times[Stage.ACKNOWLEDGED],
        done=done,
        ground="" if deletion.stage is Stage.WITHDRAWN else ERASURE,
        outcome=deletion.stage,
        people=str(deletion.purged.n_subjects if deletion.purged else len(plan.subjects)),
        records=str(plan.n_records),
        method=deletion.method if deletion.learned else "",
        verdict=deletion.outcome.verdict.outcome if deletion.outcome else "",
        certificate=_certificate(workspace, deletion.id),
    )


def _of_request(workspace: Workspace, ledger: Ledger, line: dict[str, Any], deletions: dict[str, Deletion]) -> Row:
    deletion, facts = deletions.get(line["batch"] or ""), _told(ledger, line["request"])
    ended = facts["closed"]
    return Row(
        request=line["request"],
        dataset=line["dataset"],
        received=line["received"],
        identified=facts["identified"],
        due=line["due"],
        extended="yes" if line["extended"] else "no",
        done=ended,
        late=("yes" if ended > line["due"] else "no") if ended else "",
        ground=facts["reason"] or ERASURE,
        outcome=line["state"],
        people=facts["people"],
        records=facts["records"],
        method=deletion.method if deletion and deletion.learned else "",
        verdict=deletion.outcome.verdict.outcome if deletion and deletion.outcome else "",
        certificate=_certificate(workspace, line["request"]),
    )


def _told(ledger: Ledger, request: str) -> dict[str, str]:
    """What the ledger has of a request beyond its line: times, counts of its plan, why it was refused."""
    with ledger.read() as connection:
        row = connection.execute(sa.select(table).where(table.c.id == request)).one()
        wanted = sa.select(plans.c.body).where(plans.c.request_id == request, plans.c.hash == row.plan_hash)
        body = connection.execute(wanted.order_by(plans.c.bound_at.desc())).scalar()
        last = sa.select(audit_log.c.body).where(audit_log.c.request_id == request).order_by(audit_log.c.seq)
        told = [json.loads(each) for each in connection.scalars(last)]
    plan = json.loads(body) if body else {}
    refused = [each.get("reason") or "" for each in told if each["facts"].get("to") in (State.DENIED, State.CANCELLED)]
    return {
        "identified": row.identity_verified_at.isoformat() if row.identity_verified_at else "",
        "closed": row.closed_at.isoformat() if row.closed_at else "",
        "people": str(plan.get("n_subjects_named", "")),
        "records": str(plan.get("n_records", "")),
        "reason": refused[-1] if refused else "",
    }


def _certificate(workspace: Workspace, request: str) -> str:
    path = folder_of(workspace, request) / NAME
    return sha256_file(path) if path.is_file() else ""
