"""What the ledger remembers of data that are gone, and what it still has to do: for whoever exchanges the data."""

import sqlalchemy as sa

from tmu.ledger.schema import forget_entries, requests
from tmu.ledger.states import OPEN


def forgotten_keys(connection: sa.Connection, dataset: str) -> tuple[list[str], list[str]]:
    """Subject keys and record keys whose deletion was completed, each once, ascending."""
    wanted = sa.select(forget_entries.c.kind, forget_entries.c.key).distinct()
    wanted = wanted.where(forget_entries.c.dataset == dataset, forget_entries.c.state == "forgotten")
    found: dict[str, list[str]] = {"subject": [], "record": []}
    for kind, key in connection.execute(wanted.order_by(forget_entries.c.key)):
        found[kind].append(key)
    return found["subject"], found["record"]


def still_open(connection: sa.Connection, dataset: str) -> int:
    """How many requests for a dataset have not ended."""
    wanted = sa.select(sa.func.count()).select_from(requests)
    return connection.scalar(wanted.where(requests.c.dataset == dataset, requests.c.state.in_(OPEN))) or 0
