"""The search of a deletion: what came back since it passed counts, a crash leaves no inventory, rules are heard."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from bench.erasure.planted import PERSON
from tests.purge_tools import AFTER, BEFORE
from tests.unit.deletion.test_deletion import acknowledged
from tests.unit.search.conftest import KEYS, RECORDS
from tmu.deletion.deletion import Deletion
from tmu.purge.record import Record, write_record
from tmu.purge.scope import Scope
from tmu.purge.step import Step
from tmu.purge.trace import Action, Holds, Trace
from tmu.search.report import Outcome
from tmu.steps.search_deletion import inventory_of, search_deletion
from tmu.workspace import Workspace

KEY = KEYS.subject(PERSON)


@pytest.fixture
def deletion() -> Deletion:
    return acknowledged()


def record_of(workspace: Workspace, deletion: Deletion, **changes: object) -> Record:
    """Of a purge that is planned."""
    records = tuple(map(KEYS.record, RECORDS))
    scope = Scope(request=deletion.id, records=records, subjects=(KEY,), before=BEFORE, after=AFTER)
    return write_record(workspace, Record.of(scope).with_(**changes))


def done(workspace: Workspace, deletion: Deletion, at: str = "2026-01-01T00:00:00+00:00", **more: object) -> None:
    record_of(workspace, deletion, acted=at, verified=at, **more)


def test_what_came_back_after_a_search_that_passed_is_found(workspace: Workspace, deletion: Deletion) -> None:
    done(workspace, deletion)
    assert search_deletion(workspace, deletion).outcome is Outcome.PASS
    (workspace.root / "x").write_text(KEY)
    assert search_deletion(workspace, deletion).outcome is Outcome.PASS  # nothing was purged since: the same report
    done(workspace, deletion, "2999-01-01T00:00:00+00:00")
    assert search_deletion(workspace, deletion).outcome is Outcome.FAILED


def test_no_inventory_outlives_the_keys(workspace: Workspace, deletion: Deletion) -> None:
    record_of(workspace, deletion)
    inventory_of(workspace, deletion)
    path = workspace.state("searches", f"{deletion.id}.inventory.json")
    left = path.read_bytes()
    done(workspace, deletion)
    assert search_deletion(workspace, deletion).outcome is Outcome.PASS
    for keys_are_gone in (False, True):  # the process was killed before it was removed
        path.write_bytes(left)
        path.chmod(0o600)
        if keys_are_gone:
            write_record(workspace, record_of(workspace, deletion, acted="x", verified="x").scrubbed())
        assert search_deletion(workspace, deletion).outcome is Outcome.PASS
        assert path.exists() != keys_are_gone


def gold(workspace: Workspace) -> str:
    """The address of a gold of a revision that nobody can read any more."""
    identity = {"stage": "gold", "data": "0.dir", "forget": "f"}
    with workspace.artifacts.create("model", "a" * 40, identity, {}) as folder:
        save_file({"head.weight": np.zeros(2, np.float32)}, folder / "weights.safetensors")
    return f"model/{'a' * 40}"


def test_a_model_that_a_rule_keeps_does_not_fail_the_search(workspace: Workspace, deletion: Deletion) -> None:
    place = {"place": "artifacts", "address": gold(workspace), "holds": Holds.WEIGHTS}
    done(workspace, deletion)
    assert search_deletion(workspace, deletion).outcome is Outcome.UNKNOWN
    rule = Trace(**place, action=Action.KEEP, why="A contract.", until="2999-01-01")
    done(workspace, deletion, steps=(Step(trace=rule),))
    found = search_deletion(workspace, deletion)
    assert found.outcome is Outcome.PASS
    assert [(each.why, each.until) for each in found.models] == [("A contract.", "2999-01-01")]
