"""The workspace: every file below it, whichever program made it.

All but one: the disk of the S3 store of `make up`. As on any disk, blocks of what was destroyed lie there until they
are written over. What the store still has is read through S3. The report names the disk, and a rule accepts it.
"""

import os
from collections.abc import Iterator

from tmu.search.declared import STORE_DISK
from tmu.search.ground import Found, Ground
from tmu.search.haystacks.walk import files_below
from tmu.search.look import Thing
from tmu.search.report import Access, NotLookedAt

_BLOCKS = "blocks of destroyed objects lie there until the store writes over them; what it has is read through S3"
_PLACES = (
    ("data/", "data"),
    (".dvc/cache/", "DVC cache"),
    (".tmu/dvc-site/", "DVC site cache"),
    (".tmu/revisions/", "unpacked revisions"),
    (".tmu/mlflow.db", "MLflow database"),
    (".tmu/mlartifacts/", "MLflow artifacts"),
    (".tmu/artifacts/", "artifact store"),
    (".tmu/cache/", "artifact cache"),
    (".tmu/snapshots/", "training leftovers"),
    (".tmu/references/", "training leftovers"),
    (".tmu/requests/", "journal"),
    (".tmu/purges/", "purge records"),
    (".tmu/ledger.db", "ledger"),
    (".tmu/index/", "index cache"),
    (".tmu/contents/", "index cache"),
    ("out/", "stage folders"),
)


class WorkspaceFiles:
    """See the module."""

    name = "workspace"

    def found(self, ground: Ground) -> Iterator[Found]:
        """All files, in the order of the folder; of the S3 store's disk that it is there."""
        disk = ground.root / STORE_DISK if ground.workspace.settings.s3_server == "ceph" else None
        for each in files_below(ground.root, place_of):
            if isinstance(each, Thing) and disk is not None and each.path == disk:
                yield NotLookedAt(haystack="disk of the S3 store", address=each.address, why=_BLOCKS)
            else:
                yield each

    def accesses(self, ground: Ground) -> Iterator[Access]:
        """Whether this account may write there; the search itself writes nothing."""
        can = os.access(ground.root, os.W_OK)
        yield Access(store="workspace", can_write=can, how="the folder's permissions")


def place_of(relative: str) -> str:
    """What the report calls the store at a path of the workspace."""
    return next((name for prefix, name in _PLACES if relative.startswith(prefix)), "workspace")
