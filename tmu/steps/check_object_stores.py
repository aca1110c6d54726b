"""Try the S3 stores that the settings name, for `tmu doctor`."""

from collections.abc import Iterator

from tmu.check import Check
from tmu.errors import TmuError
from tmu.stores.s3_access import bucket_and_prefix, s3_access
from tmu.stores.s3_probe import probe
from tmu.workspace import Workspace


def check_object_stores(workspace: Workspace) -> Iterator[Check]:
    """Findings for each S3 store of ours; none where all of them are folders. Leaves one small object in each."""
    settings = workspace.settings
    for what, url in {"artifacts": settings.artifacts, "DVC remote": settings.dvc_remote}.items():
        if url is None or not url.startswith("s3://"):
            continue
        try:
            yield from probe(s3_access(settings), *bucket_and_prefix(url), what)
        except TmuError as error:
            yield Check(what, "fail", error.what, error.hint)
