"""Import a dataset into the workspace's record store and make it a data revision."""

from collections.abc import Callable
from typing import Any

from tmu.data.digest import dvc_digest
from tmu.data.importer import Imported, import_records
from tmu.data.readers import get_reader
from tmu.errors import DataError
from tmu.refs import DataRef
from tmu.stores.lock import locked
from tmu.workspace import Workspace


def import_data(
    workspace: Workspace,
    reader_name: str,
    options: dict[str, Any],
    *,
    dataset: str | None = None,
    replace: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
    **layout: Any,
) -> tuple[DataRef, Imported]:
    """Read, key, shard and commit; `layout` is passed to `import_records` (holdout, test, n_buckets, split_seed).

    Raises DataError for unusable records and where a store is there already and `replace` is not set.
    """
    reader = get_reader(reader_name, options)
    if workspace.data.exists() and not replace:
        raise DataError(f"{workspace.data} holds a record store already.", "Use --replace, or another workspace.")
    with locked(workspace.state("data.lock")):
        imported = import_records(
            reader,
            workspace.data,
            workspace.keys(simulated=reader.simulated),
            dataset=dataset,
            replace=replace,
            progress=progress,
            **layout,
        )
        workspace.versions.commit(workspace.data)
    return DataRef(uri="data", digest=dvc_digest(workspace.data)), imported
