"""The records that hold the very same pictures as those of a request: for who asks that they go, too."""

from collections.abc import Iterable
from functools import cached_property

from tmu.data.store import RecordStore
from tmu.data.what_stays import copies_of
from tmu.workspace import Workspace


class CopyFinder:
    """Finds them in the data as they are at the first call. Nothing is written."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def find(self, subjects: Iterable[str], records: Iterable[str]) -> list[str]:
        """Record keys, without those that are named; subjects, records: keys, those that are not there passed by."""
        return copies_of(self._store, list(subjects), list(records))

    @cached_property
    def _store(self) -> RecordStore:
        return RecordStore.open(self._workspace.data, contents=self._workspace.contents)
