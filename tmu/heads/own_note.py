"""The workspace's own note: the head at the last sound check. It is no place outside, but it costs nothing."""

from tmu.errors import ConfigError, DataError
from tmu.files import write_atomic
from tmu.heads.noted import Noted
from tmu.ledger.log import Head
from tmu.workspace import Workspace

_NAME = "verified.head"


def read_own_note(workspace: Workspace) -> Noted | None:
    """The head at the last sound check; None before the first. Raises DataError for a note that is none."""
    path = workspace.state(_NAME)
    if not path.exists():
        return None
    try:
        head = Head.parse(path.read_text())
    except (ConfigError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is no head of the log.", "Somebody changed it: compare with heads kept outside."
        ) from error
    return Noted(seq=head.seq, hash=head.hash, place="this workspace")


def write_own_note(workspace: Workspace, head: Head) -> None:
    """Note the head of a log that is sound."""
    write_atomic(workspace.state(_NAME), f"{head}\n".encode())
