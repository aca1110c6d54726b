"""What an import would do: read and check the whole source, count, and write nothing."""

from collections.abc import Callable
from typing import Any

from tmu.data.importer import Imported, import_records
from tmu.data.key_ring import new_secret
from tmu.data.keys import Keys
from tmu.data.readers import Reader, get_reader
from tmu.suppression.tombstones import Tombstones
from tmu.workspace import Workspace


def preview_import(
    workspace: Workspace,
    reader_name: str,
    options: dict[str, Any],
    *,
    dataset: str | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    **layout: Any,
) -> Imported:
    """The counts of an import into the workspace, by split, with sizes and conversions; errors as `import_data`.

    What was erased from a store that is there counts as in an import that replaces it; pictures that look like an
    erased one are not looked for.
    """
    reader = get_reader(reader_name, options)
    return import_records(
        reader,
        workspace.data,
        _keys(workspace, reader),
        dataset=dataset,
        replace=True,
        dry_run=True,
        suppressed=Tombstones.of(workspace).test(),
        progress=progress,
        **layout,
    )


def _keys(workspace: Workspace, reader: Reader) -> Keys:
    """Those of the import; where the workspace has no secret yet, others, which draw splits as well."""
    if reader.simulated or workspace.key_file.exists():
        return workspace.keys(simulated=reader.simulated)
    return Keys(new_secret())
