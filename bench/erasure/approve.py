"""Approves what waits in the ledger of the workspace at TMU_HOME: the second person of a scenario."""

from tmu.ledger import approvals, views
from tmu.ledger.actor import Actor
from tmu.ledger.place import opened
from tmu.ledger.states import State
from tmu.workspace import Workspace


def main() -> None:
    """Every request that awaits approval, under the hash of its plan."""
    with opened(Workspace.open()) as ledger:
        for row in views.listing(ledger, [State.AWAITING_APPROVAL]):
            found = views.show(ledger, row["request"])
            approvals.approve(ledger, row["request"], found["plan"], Actor("second-person", "token"))


if __name__ == "__main__":
    main()
