"""Keep the digests of all pictures beside the data, so that a plan need not decode them to name what stays."""

import contextlib

from tmu.data import contents, decoded
from tmu.errors import StorageError
from tmu.workspace import Workspace


def note_contents(workspace: Workspace) -> None:
    """After the data changed. It is a cache: where the disk refuses it, a plan reads the pictures instead.

    Decoded pictures of shards that are gone are removed.
    """
    with contextlib.suppress(StorageError):
        contents.note(workspace.data, workspace.contents)
    decoded.prune(workspace.decoded, [workspace.data])
