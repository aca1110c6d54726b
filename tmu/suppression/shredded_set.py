"""A forget set whose keys were shredded: what the data themselves still say of it.

The shards' tombstones and the marks of the deletion together tell which erased records were its own. That is enough to
look whether they came back, and no more: nothing else of the forget set is left.
"""

from typing import Any

from tmu.data.info import STORE_FILE, shard_path
from tmu.data.shards import read_facts
from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.errors import RequestError
from tmu.refs import ForgetRef
from tmu.suppression.tombstones import Tombstones
from tmu.workspace import Workspace

LEFT = "shredded.json"
"""What stands in the place of the keys: how many there were, and a commitment."""


def shredded_set(workspace: Workspace, forget: ForgetRef) -> dict[str, Any] | None:
    """The keys of a shredded forget set, from the live data's tombstones; None for one that no journal tells of so.

    Raises RequestError where they are not all there: an older revision is in the workspace.
    """
    deletion = next((each for each in Journal(workspace).all() if each.forget == forget), None)
    if deletion is None or not (deletion.shredded or _replaced(workspace, forget)):
        return None
    records = _marked(workspace, deletion)
    if len(records) != deletion.plan.n_records:
        raise RequestError(
            f"The forget set of request {deletion.id} was shredded, and the data tell of {len(records)} of its "
            f"{deletion.plan.n_records} records alone.",
            "Where data were restored from a backup, `tmu restore` erases again what was erased since.",
        )
    return {"records": records, "retires": list(deletion.plan.retires)}


def _replaced(workspace: Workspace, forget: ForgetRef) -> bool:
    """Whether a count stands in the set's place; the journal's entry follows it."""
    found = None if forget.uri.startswith("file:") else workspace.artifacts.find(*forget.uri.split("/", 1))
    return found is not None and (found / LEFT).is_file()


def _marked(workspace: Workspace, deletion: Deletion) -> list[str]:
    """The erased record keys in the deletion's shards that bear a mark of it."""
    tombstones = Tombstones.of(workspace)
    lines = [each for each in tombstones.all() if each.request == deletion.id]
    if not lines or not (workspace.data / STORE_FILE).exists():
        return []
    marks, wanted = tombstones.marks_of(lines[-1]), {mark for line in lines for mark in line.records}
    paths = (shard_path(workspace.data, bucket) for bucket in deletion.plan.shards)
    erased = {key for path in paths if path.exists() for key in read_facts(path).erased}
    return sorted(key for key in erased if marks.of(key) in wanted)
