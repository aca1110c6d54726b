"""What leads to the person: forget sets, journal and ledger give way to commitments, and all that reads them copes."""

import json
from pathlib import Path

import pytest

from tests.key_purge import all_keys, erased, found, imported, key_of, purged, scope_of, with_keys
from tests.ledger_tools import BOB, asked
from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.errors import RequestError
from tmu.ledger import holds, proof
from tmu.ledger.actor import OPERATOR
from tmu.ledger.intake import receive
from tmu.ledger.place import opened
from tmu.purge.scope import Scope
from tmu.purge.trace import Action
from tmu.steps.loading import forget_keys
from tmu.steps.resume import look
from tmu.steps.verify_deletion import verify_deletion
from tmu.workspace import Workspace


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return imported(tmp_path / "w")


@pytest.fixture
def gone(place: Workspace) -> tuple[Deletion, Scope]:
    """A deletion that has erased its records, and its scope."""
    before = all_keys(place)
    deletion = erased(place)
    return deletion, scope_of(place, deletion, before - all_keys(place))


def actions(traces: list) -> dict[str, Action]:
    return {f"{trace.place}: {trace.address.split(' ')[0].split('/')[0]}": trace.action for trace in traces}


def test_keys_are_found_then_gone_but_for_the_declared_tombstones(
    place: Workspace, gone: tuple[Deletion, Scope]
) -> None:
    _, scope = gone
    assert actions(found(place, scope)) == {"forget sets: forget": Action.SHRED, "journal: request": Action.SHRED}
    text = {
        name: count for name, count in with_keys(place.state(), scope.every_key).items() if not name.startswith("index")
    }
    assert {name.split("/")[0] for name in text} >= {"artifacts", "requests"}
    purged(place, scope)
    assert found(place, scope) == []
    left = {name.split("/")[0] for name in with_keys(place.state(), scope.every_key)}
    assert left <= {"index", "contents", "revisions"}  # of old shards: another store's
    purged(place, scope)  # again changes nothing


def test_what_reads_them_afterwards_copes(place: Workspace, gone: tuple[Deletion, Scope]) -> None:
    deletion, scope = gone
    purged(place, scope)
    shredded = Journal(place).find(deletion.id)
    assert shredded.n_subjects == 1 and shredded.every_key == frozenset()
    assert forget_keys(place, deletion.forget) == frozenset(scope.records)  # from the shards' tombstones
    assert look(place, shredded)[1:] == (0, len(scope.records))
    assert verify_deletion(place, shredded)[0].startswith(f"None of the {len(scope.records)} records")
    folder = place.artifacts.find(*deletion.forget.uri.split("/"))
    said = json.loads((folder / "shredded.json").read_text())
    assert said["records"] == len(scope.records) and len(said["commitment"]) == 64


def test_a_record_that_came_back_is_seen_without_its_key(place: Workspace, gone: tuple[Deletion, Scope]) -> None:
    deletion, scope = gone
    purged(place, scope)
    old = place.versions.materialise(deletion.plan.data.digest)
    for path in old.rglob("*.parquet"):
        (place.data / "shards" / path.name).unlink()
        (place.data / "shards" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(RequestError, match="was shredded, and the data tell of 0"):
        verify_deletion(place, Journal(place).find(deletion.id))


def test_another_open_deletion_keeps_its_keys(place: Workspace, gone: tuple[Deletion, Scope]) -> None:
    deletion, scope = gone
    other = Deletion(**(deletion.model_dump() | {"id": "f" * 16, "stage": "erasing"}))
    Journal(place).add(other)
    traces = {trace.address: trace.action for trace in found(place, scope)}
    assert traces[f"request {other.id}"] is Action.KEEP
    assert traces[deletion.forget.uri] is Action.KEEP
    purged(place, scope)
    assert Journal(place).find(other.id).shredded is None


def test_what_a_kill_left_half_written_goes(place: Workspace, gone: tuple[Deletion, Scope]) -> None:
    _, scope = gone
    half = place.state("requests", f".{scope.request}.json.building-1-abc")
    half.write_text(scope.records[0])
    dead = place.state("artifacts", "forget", ".x.building-4194000-abc")
    dead.mkdir()
    (dead / "forget.json").write_text(scope.records[0])
    assert {trace.action for trace in found(place, scope)} == {Action.SHRED, Action.DESTROY}
    purged(place, scope)
    assert not half.exists() and not dead.exists()


def test_a_hold_in_force_keeps_everything(place: Workspace, gone: tuple[Deletion, Scope]) -> None:
    _, scope = gone
    keys = place.keys(simulated=True)
    with opened(place) as ledger:
        receive(ledger, keys, asked("case-1", "contributor-007", dataset="digits"), OPERATOR)
        hold, *_ = holds.hold(ledger, holds.Scope("subject", subject=key_of(place)), "court file 1", BOB)
    assert {trace.action for trace in found(place, scope)} == {Action.KEEP}
    before = with_keys(place.state(), scope.every_key)
    purged(place, scope)
    assert with_keys(place.state(), scope.every_key) == before
    with opened(place) as ledger:
        holds.release(ledger, hold, "closed", BOB)
    assert Action.SHRED in {trace.action for trace in found(place, scope)}


def test_the_ledgers_file_is_clean_and_its_chain_whole(place: Workspace, gone: tuple[Deletion, Scope]) -> None:
    from tmu.ledger import decisions

    _, scope = gone
    keys = place.keys(simulated=True)
    with opened(place) as ledger:
        receive(ledger, keys, asked("case-1", "contributor-007", dataset="digits"), OPERATOR)
        decisions.deny(ledger, "case-1", "no identity", BOB)
    assert "ledger.db" in with_keys(place.state(), scope.every_key)
    assert {trace.address for trace in found(place, scope) if trace.place == "ledger"} == {
        "request case-1",
        "files of the database",
    }
    purged(place, scope)
    assert found(place, scope) == []
    assert not [name for name in with_keys(place.state(), scope.every_key) if name.startswith("ledger")]
    with opened(place) as ledger:
        proof.verify(ledger)
