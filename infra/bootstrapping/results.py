"""Where tasks' results lie: references as JSON, a few kilobytes each, in the workspace.

Prefect's own block type LocalFileSystem serves as long as all workers see the workspace, which they must for the data
anyway. Results in S3 would need one more package (prefect-aws) and the store's keys in Prefect's database.
"""

from collections.abc import Iterator

from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound
from prefect.filesystems import LocalFileSystem

from infra.bootstrapping.plan import RESULTS, Change, Plan


def results(client: SyncPrefectClient, plan: Plan, *, apply: bool) -> Iterator[Change]:
    """The block `tmu-results`."""
    wanted = str(plan.workspace / ".tmu" / "prefect" / "results")
    try:
        found = client.read_block_document_by_name(RESULTS, "local-file-system").data.get("basepath")
    except ObjectNotFound:
        found = None
    if apply and found != wanted:
        LocalFileSystem(basepath=wanted).save(RESULTS, overwrite=True)  # by the settings, which `connected` set
    differs = found is not None and found != wanted
    yield Change("block", RESULTS, "made" if found is None else "changed" if differs else "kept", "basepath" * differs)
