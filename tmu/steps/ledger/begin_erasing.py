"""The last look at the ledger before a batch's first byte is erased."""

from tmu.ledger import executions
from tmu.ledger.actor import SYSTEM
from tmu.ledger.place import opened
from tmu.steps.ledger.batch import Work
from tmu.workspace import Workspace


def begin_erasing(workspace: Workspace, work: Work) -> None:
    """Note that the erasing for a batch begins, unless a legal hold covers one of its requests; see the ledger's.

    Call it after everything that can be refused was looked at, and right before the erasing; it may be repeated. Raises
    HeldError: then nothing was touched, and the batch is to stand back.
    """
    with opened(workspace) as ledger:
        executions.begin_erasing(ledger, work.token, SYSTEM)
