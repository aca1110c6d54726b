"""After whole deletions: what the closure finds, what a purge of artifacts destroys, and what still works then."""

from collections.abc import Iterator

import pytest

from flows import audit_flow
from flows.carry_out import carry_out
from flows.observer import Observer
from tests.integration.conftest import make_workspace
from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.errors import StorageError
from tmu.lineage.kinds import kind_of_artifact, kind_of_entry
from tmu.lineage.learners import Learner, learners
from tmu.purge.in_service import in_service
from tmu.purge.places import data
from tmu.purge.places.artifacts import places
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Trace
from tmu.steps.acknowledge import acknowledge
from tmu.steps.fit_references import fit_references
from tmu.steps.loading import data_ref
from tmu.steps.plan import Planner
from tmu.steps.purge_scope import scope_of
from tmu.steps.register_model import champion_of
from tmu.steps.verify_all import verify_all
from tmu.stores.purged import PurgedError
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace after two deletions: of one person with golds and the fine-tuned twin, then of another by the table.

    Each audit passes by the test's word, so that the unlearned model serves.
    """
    workspace = make_workspace(tmp_path_factory.mktemp("lineage") / "w")
    workspace.state("snapshots").mkdir()
    fit_references(workspace, data_ref(workspace), workspace.params)
    with pytest.MonkeyPatch.context() as patched:
        _let_pass(patched)
        first = deleted(workspace, 3, "tmu")
        leave_snapshots(workspace, first)
        deleted(workspace, 4, "finetune")
    return workspace


def _let_pass(patched: pytest.MonkeyPatch) -> None:
    real = audit_flow.log_audit

    def decided(*given: object) -> dict:
        numbers = real(*given)
        return numbers | {"verdict": numbers["verdict"] | {"passed": True, "conclusive": True, "reasons": []}}

    patched.setattr(audit_flow, "log_audit", decided)


def deleted(workspace: Workspace, person: int, method: str) -> Deletion:
    asked = Asked.of([workspace.keys(simulated=True).subject(f"contributor-{person:03d}")], [])
    deletion = acknowledge(workspace, Planner(workspace).plan(asked, method), asked)
    carry_out(workspace, deletion, Observer(workspace))
    return Journal(workspace).find(deletion.id)


def leave_snapshots(workspace: Workspace, deletion: Deletion) -> None:
    """As of trainings that were killed: on the data before and after the deletion."""
    for revision in (deletion.plan.data, deletion.data):
        workspace.state("snapshots", f"{revision.digest[:32]}-{'0' * 32}-0.safetensors").write_bytes(b"weights")


def of(workspace: Workspace, stage: str) -> list[Learner]:
    return [each for each in learners(workspace) if each.stage == stage]


def purged(workspace: Workspace, scope: Scope) -> list[Trace]:
    """The data's copies, then the artifacts, each twice over, as a resumed purge does; what is still there then."""
    stores = [*data.places(workspace), *places(workspace)]
    for store, trace in [(store, trace) for store in stores for trace in store.find(scope)] * 2:
        if not trace.stays:
            store.purge(scope, trace)
    return [trace for store in stores for trace in store.find(scope)]


def test_everything_under_the_folder_is_declared(place):
    entries = [path.name for path in place.state().iterdir()]
    assert entries and not [name for name in entries if kind_of_entry(name) is None]
    kinds = [path.name for path in place.state("artifacts").iterdir() if path.is_dir()]
    assert {"model", "twin", "audit", "forget", "references", "probes"} <= set(kinds)
    assert not [name for name in kinds if kind_of_artifact(name) is None]


def test_the_first_person_is_in_the_original_and_its_twin(place):
    first, _ = Journal(place).all()
    scope = scope_of(place, first)
    (original,) = of(place, "original")
    (twin,) = [each for each in of(place, "twin") if each.original == original.weights]
    assert {each.address for each in (original, twin)} <= set(scope.artifacts)
    assert set(scope.learned) == {original.weights, twin.weights}
    assert not set(scope.learned) & set(scope.spared)
    assert len([uri for uri in scope.artifacts if uri.startswith("probes/")]) >= 4
    assert scope.subjects == first.plan.subjects and scope.keys >= {*scope.records, *scope.subjects}


def test_the_second_person_is_in_the_golds_and_the_unlearned_model_of_the_first(place):
    first, second = Journal(place).all()
    scope = scope_of(place, second)
    golds = {each.weights for each in of(place, "gold") if each.forget == first.forget.digest}
    assert len(golds) == 2 and golds <= set(scope.learned)
    assert first.outcome.serves.weights in scope.learned and first.outcome.serves.uri in scope.artifacts
    control = next(each for each in of(place, "unlearned") if each.weights not in accepted_ever(place))
    assert control.forget == second.forget.digest and control.weights in scope.learned  # nobody accepted it
    mine = {each.weights for each in of(place, "gold") if each.forget == second.forget.digest}
    assert len(mine) == 2 and not mine & set(scope.learned)  # they did without
    assert second.outcome.serves.weights in scope.spared and second.outcome.serves.uri not in scope.artifacts


def test_only_snapshots_of_revisions_with_the_person_go(place):
    first, second = Journal(place).all()
    leftovers = places(place)[1]
    found = {trace.address.split("/")[1][:32] for trace in leftovers.find(scope_of(place, first))}
    assert found == {first.plan.data.digest[:32]}  # the second one's revision holds nothing of the first
    found = {trace.address.split("/")[1][:32] for trace in leftovers.find(scope_of(place, second))}
    assert found == {first.plan.data.digest[:32], second.plan.data.digest[:32]}


def accepted_ever(workspace: Workspace) -> set[str]:
    return {each.outcome.serves.weights for each in Journal(workspace).all()}


def test_what_learned_the_person_goes_and_the_rest_goes_on(place):
    first, second = Journal(place).all()
    before = set(of_store(place))
    for deletion in (first, second):
        scope = scope_of(place, deletion)
        left = purged(place, scope)
        assert not left
    gone = before - set(of_store(place))
    assert gone == {uri for uri in before if place.artifacts.purged.find(uri)}
    assert first.base.uri in gone and second.base.uri in gone and second.outcome.serves.uri not in gone
    with pytest.raises(PurgedError, match=first.id):
        place.artifacts.fetch(first.base.uri, first.base.digest)
    with pytest.raises(StorageError) as other:
        place.artifacts.fetch(first.base.uri, "0" * 64)
    assert not isinstance(other.value, PurgedError)
    models = next(check for check in verify_all(place).checks if check.name == "models")
    assert models.holds, models.found
    third = deleted(place, 5, "finetune")
    scope = scope_of(place, third)
    assert second.outcome.serves.weights in scope.learned and not purged(place, scope)
    assert champion_of(place, third.data) == third.outcome.serves


def test_a_model_in_service_that_learned_the_person_stays_and_says_so(place):
    third = Journal(place).all()[-1]
    serving = third.outcome.serves
    scope = scope_of(place, third)
    learned = scope.model_copy(update={"learned": (*scope.learned, serving.weights)})
    (trace,) = in_service(purged(place, learned))
    assert trace.address == serving.uri and trace.action is Action.KEEP
    assert place.artifacts.fetch(serving.uri, serving.digest)


def of_store(workspace: Workspace) -> Iterator[str]:
    for path in workspace.state("artifacts").glob("*/*/manifest.json"):
        yield f"{path.parent.parent.name}/{path.parent.name}"
