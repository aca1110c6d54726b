"""A workspace whose deletion has erased its records, without any model: what leads to the person is all there."""

from pathlib import Path

from tests.digits import with_digits
from tmu.data.index import Index
from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.purge.places import forget_sets, journal, ledger
from tmu.purge.scope import Scope
from tmu.purge.trace import Trace
from tmu.steps.acknowledge import written_down
from tmu.steps.erase_data import erase_data
from tmu.steps.plan import plan_deletion
from tmu.workspace import Workspace

PERSON = "contributor-007"
PLACES = (forget_sets, journal, ledger)


def imported(folder: Path) -> Workspace:
    """A workspace with the digits."""
    return with_digits(folder)


def key_of(workspace: Workspace, person: str = PERSON) -> str:
    return workspace.keys(simulated=True).subject(person)


def erased(workspace: Workspace, person: str = PERSON, batch: str | None = None) -> Deletion:
    """A person's deletion, at the stage `erased`."""
    asked = Asked.of([key_of(workspace, person)], [])
    plan = plan_deletion(workspace, asked)
    deletion = written_down(workspace, plan, asked if batch is None else Asked(batch=batch))
    journal_ = Journal(workspace)
    journal_.advance(deletion, Stage.ERASING)
    after = erase_data(workspace, plan.data, deletion.forget, request=deletion.id)
    return journal_.advance(deletion, Stage.ERASED, data=after)


def scope_of(workspace: Workspace, deletion: Deletion, records: frozenset[str], person: str = PERSON) -> Scope:
    """The scope of the deletion; records: its keys."""
    fields = {"records": tuple(sorted(records)), "subjects": (key_of(workspace, person),)}
    shards = deletion.plan.shards
    return Scope(request=deletion.id, shards=shards, before=deletion.plan.data, after=deletion.data, **fields)


def found(workspace: Workspace, scope: Scope) -> list[Trace]:
    """What the places of keys find."""
    return [trace for module in PLACES for place in module.places(workspace) for trace in place.find(scope)]


def purged(workspace: Workspace, scope: Scope) -> None:
    """Act on all that the places of keys find."""
    for module in PLACES:
        for place in module.places(workspace):
            for trace in list(place.find(scope)):
                place.purge(scope, trace)


def with_keys(folder: Path, keys: frozenset[str]) -> dict[str, int]:
    """How many of the keys each file below a folder holds, as text or as bytes; files with none are left out."""
    needles = [(key.encode(), bytes.fromhex(key)) for key in keys]
    found_: dict[str, int] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        text = path.read_bytes()
        count = sum(any(needle in text for needle in pair) for pair in needles)
        if count:
            found_[path.relative_to(folder).as_posix()] = count
    return found_


def all_keys(workspace: Workspace) -> frozenset[str]:
    """The record keys of the live data."""
    index = Index.build(workspace.data)
    return frozenset(index.keys_at(slice(None)))
