"""The purge at a deletion's end: everything that it left behind is found, destroyed, and looked for again."""

from flows.tell import tell
from tasks.certificate import inventory_of
from tasks.purge import act_purge, check_purge, plan_purge, scrub_purge
from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.ledger.errors import HeldError
from tmu.steps.purge import refuse_left
from tmu.steps.search_deletion import UnansweredError
from tmu.words import counted
from tmu.workspace import Workspace


def purged(workspace: Workspace, deletion: Deletion) -> Deletion:
    """The deletion with what became of it all. Raises StorageError naming what refused, or is still there.

    A legal hold that came after the erasing began puts the purge off: the deletion ends, and `tmu purge` follows.
    """
    tell("Looking for what the deletion left behind")
    record = plan_purge(workspace, deletion)
    deletion = Journal(workspace).advance(deletion, deletion.stage, purged=record.summary())
    try:
        inventory_of(workspace, deletion)
    except UnansweredError as error:  # the purge cannot wait for ever; the search after it may know less
        tell(error.what)
    found = f"{counted(len(record.left), 'trace')} in {counted(len(record.places), 'store')}"
    tell(f"Purging {found}; {len(record.stays):,} stay by rule")
    try:
        act_purge(workspace, deletion.id)
    except HeldError as hold:
        tell(f"{hold}")
        return deletion
    record = check_purge(workspace, deletion.id)
    refuse_left(record)
    deletion = Journal(workspace).advance(deletion, deletion.stage, purged=record.summary())
    tell(record.summary().sentence)
    return deletion


def keys_destroyed(workspace: Workspace, deletion: Deletion) -> None:
    """The last step: after it nothing in the purge's record leads to anybody. Not before a purge is verified."""
    if deletion.purged is not None and deletion.purged.verified:
        scrub_purge(workspace, deletion.id)
