"""What is registered, and who serves since when: entries `model_registered` and `cut_over` of the log.

The model registry can be written outside of the flows; what it holds is compared with these.
"""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from tmu.ledger.outbox import WITHDRAWN, announce
from tmu.ledger.schema import audit_log
from tmu.ledger.store import Tx

CUT_OVER, REGISTERED = "cut_over", "model_registered"


def record(tx: Tx, dataset: str, version: int, weights: str, **facts: Any) -> None:
    """Put on record that a version serves from now on, unless the last entry of the dataset says so already."""
    last = serving(tx.connection, dataset)
    if last is None or (last["version"], last["weights"]) != (version, weights):
        tx.log(CUT_OVER, None, dataset=dataset, version=version, weights=weights, **facts)
        announce(tx, CUT_OVER, dataset=dataset, version=version)


def record_registered(tx: Tx, model: str, **facts: Any) -> dict[str, Any]:
    """Put on record what a registered model is, unless it is on record; returns what is.

    model: the model registry's id. facts: `dataset`, `version`, `weights` and `files` (SHA-256 of the weights, and of
    the list of stored files).
    """
    known = registered(tx.connection, model)
    if known is None:
        tx.log(REGISTERED, None, model=model, **facts)
    return known or facts


def registered(connection: sa.Connection, model: str) -> dict[str, Any] | None:
    """The facts of a model as it was registered; None where that is not on record."""
    for facts in _facts(connection, REGISTERED):
        if facts["model"] == model:
            return {name: value for name, value in facts.items() if name not in ("model", "at")}
    return None


def serving(connection: sa.Connection, dataset: str) -> dict[str, Any] | None:
    """The facts of a dataset's last cut-over: `version`, `weights`, `data`, `blocked`, `batch`; None before the first.

    `at` is the time (ISO 8601).
    """
    return next(cut_overs(connection, dataset), None)


def cut_overs(connection: sa.Connection, dataset: str) -> Iterator[dict[str, Any]]:
    """The facts of all cut-overs of a dataset, newest first."""
    return (facts for facts in _facts(connection, CUT_OVER) if facts["dataset"] == dataset)


def record_withdrawn(tx: Tx, deletion: str, **facts: Any) -> bool:
    """Put on record, and announce, that versions are served no more; whether that was new.

    facts: `dataset`, `versions`, `requests`, `certificate`. The same versions of the same deletion are told of once.
    """
    told = next((each for each in _facts(tx.connection, WITHDRAWN) if each["deletion"] == deletion), None)
    if told is not None and told["versions"] == facts["versions"]:
        return False
    tx.log(WITHDRAWN, None, deletion=deletion, **facts)
    announce(tx, WITHDRAWN, deletion=deletion, **facts)
    return True


def _facts(connection: sa.Connection, event: str) -> Iterator[dict[str, Any]]:
    """The facts of all entries of an event, newest first, each with its time as `at`."""
    wanted = sa.select(audit_log.c.body).where(audit_log.c.event == event).order_by(audit_log.c.seq.desc())
    for body in connection.execute(wanted).scalars():
        entry = json.loads(body)
        yield entry["facts"] | {"at": entry["at"]}
