"""Who serves what since when: entries `cut_over` of the log. The model registry's alias follows it."""

import json
from typing import Any

import sqlalchemy as sa

from tmu.ledger.outbox import announce
from tmu.ledger.schema import audit_log
from tmu.ledger.store import Tx

CUT_OVER = "cut_over"


def record(tx: Tx, dataset: str, version: int, weights: str, **facts: Any) -> None:
    """Put on record that a version serves from now on, unless the last entry of the dataset says so already."""
    last = serving(tx.connection, dataset)
    if last is None or (last["version"], last["weights"]) != (version, weights):
        tx.log(CUT_OVER, None, dataset=dataset, version=version, weights=weights, **facts)
        announce(tx, CUT_OVER, dataset=dataset, version=version)


def serving(connection: sa.Connection, dataset: str) -> dict[str, Any] | None:
    """The facts of a dataset's last cut-over: `version`, `weights`, `data`, `blocked`, `batch`; None before the first.

    `at` is the time (ISO 8601).
    """
    wanted = sa.select(audit_log.c.body).where(audit_log.c.event == CUT_OVER).order_by(audit_log.c.seq.desc())
    for body in connection.execute(wanted).scalars():
        entry = json.loads(body)
        if entry["facts"]["dataset"] == dataset:
            return entry["facts"] | {"at": entry["at"]}
    return None
