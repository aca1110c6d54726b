"""Where tasks' results lie: references as JSON, a few kilobytes each, in the workspace.

Prefect's own block type LocalFileSystem serves as long as all workers see the workspace, which they must for the data
anyway. Results in S3 would need one more package (prefect-aws) and the store's keys in Prefect's database.
"""

from collections.abc import Iterator

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import BlockDocumentCreate, BlockDocumentUpdate
from prefect.exceptions import ObjectNotFound
from prefect.filesystems import LocalFileSystem

from infra.bootstrapping.plan import RESULTS, Change, Plan

_TYPE = "local-file-system"


def results(client: SyncPrefectClient, plan: Plan, *, apply: bool) -> Iterator[Change]:
    """The block `tmu-results`."""
    wanted = {"basepath": str(plan.workspace / ".tmu" / "prefect" / "results")}
    try:
        found = client.read_block_document_by_name(RESULTS, _TYPE)
    except ObjectNotFound:
        if apply:
            _create(client, wanted)
        yield Change("block", RESULTS, "made")
        return
    differs = found.data.get("basepath") != wanted["basepath"]
    if differs and apply:
        client.update_block_document(found.id, BlockDocumentUpdate(data=wanted))
    yield Change("block", RESULTS, "changed" if differs else "kept", "basepath" if differs else "")


def _create(client: SyncPrefectClient, data: dict[str, str]) -> None:
    """A document of the block type that the server registers when it starts."""
    kind = client.read_block_type_by_slug(_TYPE)
    schema = client.read_block_schema_by_checksum(LocalFileSystem._calculate_schema_checksum())
    client.create_block_document(
        BlockDocumentCreate(name=RESULTS, data=data, block_type_id=kind.id, block_schema_id=schema.id)
    )
