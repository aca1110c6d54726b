"""After whole deletions: what the closure finds, what a purge of artifacts destroys, and what still works then."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from prov.model import ProvDerivation, ProvDocument

from flows import audit_flow
from flows.carry_out import carry_out
from flows.observer import Observer
from tests.cli_tools import bad, good
from tests.integration.conftest import make_workspace
from tests.unit.lineage.test_kinds import kind_of_entry
from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.errors import StorageError
from tmu.lineage.kinds import kind_of_artifact
from tmu.lineage.learners import Learner, learners
from tmu.lineage.revisions import Held, Revisions, freed_by
from tmu.purge.in_service import in_service
from tmu.purge.places import data
from tmu.purge.places.artifacts import places
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Trace
from tmu.steps.acknowledge import acknowledge
from tmu.steps.fit_references import fit_references
from tmu.steps.history import History
from tmu.steps.loading import data_ref, run_record
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
    workspace = make_workspace(tmp_path_factory.mktemp("lineage") / "w", purge={"act": False})
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
    found = [(store, trace) for store in stores for trace in store.find(scope) if not trace.stays]
    for place, trace in found * 2:
        place.purge(scope, trace)
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
    assert scope.subjects == first.plan.subjects and scope.every_key >= {*scope.records, *scope.subjects}


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


def test_what_a_killed_replay_left_goes_and_a_living_one_stays(place):
    """As `scratch_folder`, in which a replay works, names them."""
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    killed, living = (
        place.state("replays", f".scratch.building-{pid}-abcd", "weights.safetensors")
        for pid in (int(done.stdout), os.getpid())
    )
    for path in (killed, living):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"weights")
    leftovers, scope = places(place)[1], scope_of(place, Journal(place).all()[0])
    (trace,) = [each for each in leftovers.find(scope) if each.address.startswith("replays/")]
    leftovers.purge(scope, trace)
    assert not killed.parent.exists() and living.exists()


def test_only_snapshots_of_revisions_with_the_person_go(place):
    first, second = Journal(place).all()
    leftovers = places(place)[1]
    found = {trace.address.split("/")[1][:32] for trace in leftovers.find(scope_of(place, first))}
    assert found == {first.plan.data.digest[:32]}  # the second one's revision holds nothing of the first
    found = {trace.address.split("/")[1][:32] for trace in leftovers.find(scope_of(place, second))}
    assert found == {first.plan.data.digest[:32], second.plan.data.digest[:32]}


def accepted_ever(workspace: Workspace) -> set[str]:
    return {each.outcome.serves.weights for each in Journal(workspace).all()}


def test_a_lineage_is_listed_drawn_and_handed_over_without_an_id(place, tmp_path):
    html, prov = tmp_path / "lineage.html", tmp_path / "lineage.json"
    person = place.keys(simulated=True).subject("contributor-003")
    found = good(place.root, "lineage", "--subject", "contributor-003", "--html", html, "--prov", prov)
    holding = {node["id"]: node for node in found["nodes"] if node["state"] == "holds"}
    first = Journal(place).all()[0]
    (original,) = of(place, "original")
    assert {first.plan.data.digest, original.address, f"request {first.id}"} <= holding.keys()
    assert first.data.digest not in holding and first.outcome.serves.uri not in holding
    assert {"source": original.address, "relation": "learned", "target": first.plan.data.digest} in found["edges"]
    page, document = html.read_text(), ProvDocument.deserialize(content=prov.read_text(), format="json")
    assert page.count("<rect") == len(found["nodes"]) and "http" not in page.replace("http-equiv", "")
    assert len(list(document.get_records(ProvDerivation))) >= 10
    for text in (json.dumps(found), page, prov.read_text()):
        assert "contributor" not in text and person not in text


def test_a_model_leads_to_the_data_that_it_saw(place):
    _, second = Journal(place).all()
    found = good(place.root, "lineage", "@champion")
    ids = {node["id"] for node in found["nodes"]}
    assert {second.plan.data.digest, second.base.uri, second.outcome.serves.uri} <= ids
    assert second.data.digest not in ids  # it never saw the revision after
    assert good(place.root, "lineage", second.base.weights[:12])["asked"].startswith("the model model/")


@pytest.mark.parametrize("given", ["contributor-003", "@contributor", "127", "model/contributor"])
def test_an_id_in_the_wrong_place_is_not_repeated(place, given):
    assert given not in bad(place.root, "lineage", given, code=3)


def test_a_model_and_a_person_are_not_asked_for_together(place):
    assert "Name a model" in bad(place.root, "lineage", "@champion", "--subject", "contributor-003", code=2)
    assert "Nothing here leads" in bad(place.root, "lineage", "--subject", "somebody", code=3)


def test_what_learned_the_person_goes_and_the_rest_goes_on(place):
    def speed() -> float | None:
        return History(place, place.params).seconds_per_visit()

    first, second = Journal(place).all()
    before, measured = set(of_store(place)), speed()
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
    assert speed() == measured  # forecasts know it by the purge notes
    assert run_record(place, first.base)["seconds_total"] > 0
    third = deleted(place, 5, "finetune")
    scope = scope_of(place, third)
    assert second.outcome.serves.weights in scope.learned and not purged(place, scope)
    assert champion_of(place, third.data) == third.outcome.serves
    again = scope_of(place, first)  # the revisions between are gone, and followed an erasure
    assert third.outcome.serves.weights not in again.learned
    old = Revisions(place, again.records, again.shards, first.plan.data.digest, freed_by(place, first, again.records))
    assert old.held(first.plan.data.digest) == Held(train=frozenset(again.records), known=False)
    assert old.held(second.plan.data.digest) == Held()


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
