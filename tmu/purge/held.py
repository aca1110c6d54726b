"""Whether a legal hold keeps what a purge would destroy: one that came after the erasing began."""

from tmu.data.info import STORE_FILE, read_info
from tmu.ledger.holds import active, held_among
from tmu.ledger.place import has_ledger, opened
from tmu.purge.scope import Scope
from tmu.workspace import Workspace


def why_held(workspace: Workspace, scope: Scope) -> str:
    """Why nothing of the scope may be destroyed now; empty where no hold in force covers its people or dataset."""
    if not has_ledger(workspace):
        return ""
    described = (workspace.data / STORE_FILE).exists()
    dataset = read_info(workspace.data).dataset if described else ""
    with opened(workspace) as ledger, ledger.read() as connection:
        held = held_among(connection, [("", dataset, scope.subjects)])
    return "a legal hold covers it, which came after the erasing had begun" if held else ""


def held_people(workspace: Workspace) -> frozenset[str]:
    """The people (keys) whom holds in force name: what is left of them in old data must outlive others' purges."""
    if not has_ledger(workspace):
        return frozenset()
    with opened(workspace) as ledger, ledger.read() as connection:
        return frozenset(each["subject"] for each in active(connection) if each["scope"] == "subject")
