"""Late arrivals: who began before an erasure cannot bring back what it erased."""

import shutil
import threading
import time
from pathlib import Path

import pytest

from tests.key_purge import all_keys, erased, imported, key_of
from tmu.data.erase import apply_in_place, prepare
from tmu.data.store import RecordStore
from tmu.deletion.deletion import Stage
from tmu.deletion.journal import Journal
from tmu.errors import DataError
from tmu.steps import erase_data as step
from tmu.steps.import_data import import_data
from tmu.suppression.tombstones import Tombstones
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return imported(tmp_path / "w")


def of_person(workspace: Workspace, person: str) -> frozenset[str]:
    index = RecordStore.open(workspace.data).index()
    return frozenset(index.keys_at(index.find_subject(key_of(workspace, person))))


def test_an_import_that_waits_for_an_erasure_sees_its_tombstones(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It began before: it has passed its look at the journal, and waits for the lock of the data."""
    gone, found = of_person(place, "contributor-007"), []
    late = threading.Thread(target=lambda: found.append(import_data(place, "digits", {}, replace=True)[1]))
    remember = step._remember

    def meanwhile(*arguments: object) -> None:
        monkeypatch.setattr("tmu.deletion.journal.Journal.refuse_a_second", lambda journal: None)  # as it was then
        late.start()
        time.sleep(1)
        assert late.is_alive() and not found
        remember(*arguments)

    monkeypatch.setattr(step, "_remember", meanwhile)
    erased(place)
    late.join(60)
    assert found[0].skipped_erased == len(gone) > 0
    assert gone.isdisjoint(all_keys(place))


def test_the_tombstones_alone_would_keep_them_out(place: Workspace) -> None:
    """The store's own tombstones are lost with the store; those of the workspace count."""
    gone = of_person(place, "contributor-007")
    erased(place)
    assert Tombstones.of(place).suppressed(gone) == gone
    shutil.rmtree(place.data)
    (place.root / "data.dvc").unlink()
    (open_,) = Journal(place).unfinished()
    Journal(place).advance(open_, Stage.COMPLETED)
    assert import_data(place, "digits", {})[1].skipped_erased == len(gone)
    Tombstones.of(place).path.unlink()  # without them they would be back: the check bites
    shutil.rmtree(place.data)
    (place.root / "data.dvc").unlink()
    assert import_data(place, "digits", {})[1].skipped_erased == 0


def test_an_erasure_that_was_prepared_before_another_one_is_refused(place: Workspace) -> None:
    """Its revision holds the records that the other one has erased since."""
    early = of_person(place, "contributor-001")
    prepare(place.data, place.state("revisions", "early"), early)
    gone = of_person(place, "contributor-007")
    erased(place)
    with pytest.raises(DataError, match="not erased from what is in"):
        apply_in_place(place.state("revisions", "early"), place.data)
    assert gone.isdisjoint(all_keys(place))
