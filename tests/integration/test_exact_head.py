"""The exact lane on the embedded digits: train, take a person out, prove it by recomputation; and what is refused."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.cli_tools import bad, good, listing
from tests.integration.conftest import make_workspace
from tmu import manifest
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.errors import ConfigError, DataError, StorageError
from tmu.files import write_atomic
from tmu.refs import AuditRef, DataRef, ForgetRef, ModelRef, StatisticsRef
from tmu.ridge.stored import NAME, to_bytes
from tmu.search import weights as searched
from tmu.steps import audit_by_recomputation as recomputation
from tmu.steps import exact_problem as problems
from tmu.steps import ridge_statistics, verify_all
from tmu.steps.acknowledge import forget_set
from tmu.steps.audit_by_recomputation import audit_by_recomputation
from tmu.steps.cases import RidgeAuditCase, UnlearnCase
from tmu.steps.loading import data_ref, load_model
from tmu.steps.plan import plan_deletion
from tmu.steps.plan_facts import facts_of
from tmu.steps.ridge_statistics import find_statistics, load_statistics, refuse_trained_start, usable, why_anew
from tmu.steps.train_model import train_original
from tmu.steps.unlearn_model import unlearn_model
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow
RIDGE = {
    "train": {"head": "ridge"},
    "model": {"name": "small_resnet", "options": {"width": 4}},
    "unlearn": {"method": "auto"},
    "audit": {"golds": False},
    "purge": {"act": True},
}


@dataclass(frozen=True)
class World:
    workspace: Workspace
    data: DataRef
    forget: ForgetRef
    original: ModelRef
    statistics: StatisticsRef

    def unlearned(self, method: str, statistics: StatisticsRef | None = None) -> ModelRef:
        params = self.workspace.params.with_method(method)
        facts = {"data": self.data, "forget": self.forget, "original": self.original, "params": params}
        return unlearn_model(self.workspace, UnlearnCase(statistics=statistics, **facts))

    def audited(self, model: ModelRef, statistics: StatisticsRef | None) -> dict:
        params = self.workspace.params.with_method("exact-head")
        facts = {"data": self.data, "forget": self.forget, "original": self.original, "params": params}
        case = RidgeAuditCase(unlearned=model, statistics=statistics, **facts)
        ref: AuditRef = audit_by_recomputation(self.workspace, case)
        return json.loads((self.workspace.artifacts.fetch(ref.uri, ref.digest) / "audit.json").read_text())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    workspace = make_workspace(tmp_path_factory.mktemp("exact") / "w", **RIDGE)
    data = data_ref(workspace)
    original = train_original(workspace, data, workspace.params)
    asked = Asked.of([workspace.keys(simulated=True).subject("contributor-003")], [])
    forget = forget_set(workspace, plan_deletion(workspace, asked))
    return World(workspace, data, forget, original, find_statistics(workspace, original))


def test_the_plan_says_exact_and_asks_for_no_references(world: World) -> None:
    asked = Asked.of([world.workspace.keys(simulated=True).subject("contributor-003")], [])
    plan = plan_deletion(world.workspace, asked)
    facts = facts_of(plan.body)
    assert (plan.choice.method, facts.risk, plan.choice.to_fit) == ("exact-head", "low", False)
    assert "It is exact. Recomputation is the proof: no references, twin or golds are needed." in facts.method
    assert "references" not in plan.choice.forecast
    assert plan.choice.forecast["exact-head alone"].visits == plan.n_train
    named = plan_deletion(world.workspace, asked, "retrain")
    assert named.choice.reason.startswith("`retrain` was requested. It is exact.")


def test_a_person_taken_out_is_a_retraining_without_them_bit_for_bit(world: World) -> None:
    exact, retrained = world.unlearned("exact-head", world.statistics), world.unlearned("retrain")
    assert exact.weights == retrained.weights != world.original.weights
    assert why_anew(world.workspace, exact) == ""
    left, anew = (find_statistics(world.workspace, each) for each in (exact, retrained))
    assert load_statistics(world.workspace, left).equals(load_statistics(world.workspace, anew))
    raw = world.audited(exact, left)
    assert raw["verdict"]["outcome"] == "passed"
    assert raw["equality"]["statistics"] == 0
    assert raw["equality"]["original"] > 1e-3  # the original's would have been convicted
    before = world.audited(world.original.model_copy(update={"role": "unlearned"}), world.statistics)
    assert before["verdict"]["outcome"] == "failed"
    assert {name for name, outcome in before["rules"].items() if outcome == "failed"} == {
        "records", "statistics", "head", "weights",
    }  # fmt: skip


def test_the_audit_names_what_the_network_started_from(world: World) -> None:
    params = world.workspace.params.with_method("exact-head")
    started = params.model_copy(update={"model": params.model.model_copy(update={"init_sha256": "a" * 64})})
    facts = {"data": world.data, "forget": world.forget, "original": world.original, "unlearned": world.original}
    assert "a" * 64 in recomputation.provenance_of(RidgeAuditCase(params=started, **facts), {})["start"]
    assert "start" not in recomputation.provenance_of(RidgeAuditCase(params=params, **facts), {})


def test_what_was_erased_before_is_not_summed_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def back(*_: object) -> None:
        raise DataError("A picture that was erased is back.", "")

    monkeypatch.setattr(problems, "refuse_suppressed", back)
    params = world.workspace.params.with_method("exact-head")
    facts = {"data": world.data, "forget": world.forget, "original": world.original, "params": params}
    problems.exact_problem(
        world.workspace, UnlearnCase(statistics=world.statistics, **facts), print
    )  # reads none of it
    with pytest.raises(DataError, match="is back"):
        problems.exact_problem(world.workspace, UnlearnCase(**facts), print)


def test_statistics_that_were_changed_and_sealed_again_fail_the_audit(world: World) -> None:
    model = world.unlearned("exact-head", world.statistics)
    ref = find_statistics(world.workspace, model)
    with _Restored(world.workspace, ref) as folder:
        found, identity = load_statistics(world.workspace, ref), manifest.read(folder)["identity"]
        found.sums[0, 0] += 1000
        write_atomic(folder / NAME, to_bytes(found))
        manifest.seal(folder, "statistics", identity)
        sealed = find_statistics(world.workspace, model)
        assert sealed.digest != ref.digest
        raw = world.audited(model, sealed)
        assert (raw["verdict"]["outcome"], raw["rules"]["statistics"], raw["rules"]["start"]) == (
            "failed", "failed", "passed",
        )  # fmt: skip


def test_a_changed_byte_fails_the_audit_and_is_summed_anew_by_the_next_deletion(world: World) -> None:
    first = world.unlearned("exact-head", world.statistics)
    with _Restored(world.workspace, world.statistics) as folder:
        content = bytearray((folder / NAME).read_bytes())
        content[-1] ^= 1
        (folder / NAME).write_bytes(content)
        assert find_statistics(world.workspace, world.original) is None
        _drop(world.workspace, first)
        again = world.unlearned("exact-head", world.statistics)
        assert again.weights == first.weights
        assert "anew from the records that stay" in why_anew(world.workspace, again)
        assert "no sound artifact" in why_anew(world.workspace, again)
    raw = world.audited(first, None)
    assert (raw["verdict"]["outcome"], raw["equality"]["fault"]) == ("failed", "they are gone or damaged.")


def test_statistics_are_used_where_they_are_right_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, ref = world.workspace, world.statistics
    model, counts = load_model(workspace, world.original)[0], load_statistics(workspace, ref).counts
    assert usable(workspace, ref, model, counts, 1.0)[0] is not None
    assert usable(workspace, None, model, counts, 1.0)[1] == "there are none of this model"
    other = counts + torch.tensor([1] + [0] * 9)
    assert "of other records" in usable(workspace, ref, model, other, 1.0)[1]
    assert "not those that the model's head" in usable(workspace, ref, model, counts, 2.0)[1]
    here = ridge_statistics.hardware()
    monkeypatch.setattr(ridge_statistics, "hardware", lambda: here | {"capability": "AVX2"})
    assert "another compute environment (capability:" in usable(workspace, ref, model, counts, 1.0)[1]


def test_a_network_that_was_trained_has_no_exact_head(world: World) -> None:
    plain = world.workspace.params.model_copy(update={"train": type(world.workspace.params.train)(epochs=1)})
    trained = train_original(world.workspace, world.data, plain)
    assert find_statistics(world.workspace, trained) is None
    with pytest.raises(ConfigError, match="its network learned the records"):
        refuse_trained_start(world.workspace, trained, world.workspace.params)
    params = world.workspace.params.with_method("exact-head")
    case = UnlearnCase(data=world.data, forget=world.forget, original=trained, params=params)
    with pytest.raises(ConfigError, match="not trained with a ridge head"):
        unlearn_model(world.workspace, case)


def test_what_has_no_place_here_is_refused_by_name_and_nothing_changes(world: World) -> None:
    home = world.workspace.root
    before = listing(home / ".tmu" / "artifacts")
    said = bad(home, "plan", "--subject", "contributor-003", "--method", "tmu-soft", code=2)
    assert "`tmu-soft` trains the whole network" in said
    assert "exact-head" in said
    assert "no use for references" in bad(home, "references", "fit", code=2)
    said = bad(home, "unlearn", "--forget", world.forget.uri, "--original", world.original.uri,
               "--method", "exact-head", "--set", "train.head=sgd", code=2)  # fmt: skip
    assert "`exact-head` needs a model with a ridge head" in said
    assert listing(home / ".tmu" / "artifacts") == before


def test_the_weekly_flows_fit_nothing(world: World) -> None:
    from flows.fit_references import fit_references_flow
    from flows.fit_twin import fit_twin_flow

    home = str(world.workspace.root)
    assert fit_references_flow.fn(home=home) is None
    assert fit_twin_flow.fn(home=home) is None
    assert not world.workspace.artifacts.manifests("references")


def test_the_regular_check_sees_a_changed_byte(world: World) -> None:
    assert "0 versions" in verify_all.check_models(world.workspace)
    with _Restored(world.workspace, world.statistics) as folder:
        content = bytearray((folder / NAME).read_bytes())
        content[-1] ^= 1
        (folder / NAME).write_bytes(content)
        with pytest.raises(StorageError, match="changed after it was written"):
            verify_all.check_models(world.workspace)


def test_the_independent_search_takes_statistics_for_what_learned(world: World) -> None:
    folder = world.workspace.artifacts.fetch(world.statistics.uri, world.statistics.digest)
    assert searched.is_weights(folder / NAME)
    assert not searched.is_weights(folder / "manifest.json")


def test_the_verbs_take_a_person_out_and_prove_it(world: World) -> None:
    home = world.workspace.root
    made = good(home, "unlearn", "--forget", world.forget.uri, "--original", world.original.uri,
                "--method", "exact-head")  # fmt: skip
    assert made["weights"] == world.unlearned("exact-head", world.statistics).weights
    given = ("--forget", world.forget.uri, "--original", world.original.uri, "--unlearned", made["uri"])
    shown = good(home, "audit", *given)
    assert (shown["verdict"]["row"], shown["verdict"]["outcome"]) == ("exact-head", "passed")
    assert shown["sentence"].startswith("Exact: ")
    assert "recomputation is its proof" in bad(home, "audit", *given, "--references", "references/0", code=2)


@pytest.mark.drill
def test_a_wrong_one_is_refused_by_its_audit_and_gives_way(
    prefect_server: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.delete_local import delete_local_flow
    from tmu.unlearn import exact_head

    workspace = make_workspace(tmp_path / "w", **RIDGE)
    monkeypatch.setenv("TMU_SEARCH_TEMPORARY", str(tmp_path / "elsewhere"))
    real = exact_head.without

    def half(model, statistics, forget, *given, **more):  # type: ignore[no-untyped-def]
        return real(model, statistics, forget.take(torch.arange(1)), *given, **more)

    monkeypatch.setattr(exact_head, "without", half)
    subject = workspace.keys(simulated=True).subject("contributor-003")
    outcome = delete_local_flow(home=str(workspace.root), subjects=[subject])
    deletion = Journal(workspace).find(outcome["request"])
    assert "The audit of `exact-head` failed" in deletion.refused
    assert (deletion.method, outcome["verdict"]["outcome"]) == ("retrain", "passed")
    left = find_statistics(workspace, deletion.unlearned)
    assert [each.uri for each in workspace.artifacts.manifests("statistics")] == [left.uri]


@pytest.mark.drill
def test_the_stages_of_the_page_take_a_person_out_by_dvc_alone(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "w", **RIDGE)
    page = (Path(__file__).parents[2] / "docs" / "exact-head.md").read_text()
    (stages,) = re.findall(r"^```yaml\n(stages:.*?)^```", page, re.DOTALL | re.MULTILINE)
    (workspace.root / "dvc.yaml").write_text(stages)
    subject = workspace.keys(simulated=True).subject("contributor-003")
    (workspace.root / "request.json").write_text(json.dumps({"subject_keys": [subject], "record_keys": []}))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [sys.executable, "-m", "dvc", "repro"]
    subprocess.run(command, cwd=workspace.root, check=True, env={**os.environ, "PATH": path}, stdout=subprocess.DEVNULL)
    raw = json.loads((workspace.root / "out" / "audit" / "audit.json").read_text())
    assert (raw["verdict"]["outcome"], raw["equality"]["statistics"]) == ("passed", 0)


def test_a_deletion_is_exact_and_leaves_no_statistics_of_the_person(
    prefect_server: dict, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one: it uses the world up."""
    from flows.delete_local import delete_local_flow

    workspace = world.workspace
    monkeypatch.setenv("TMU_SEARCH_TEMPORARY", str(tmp_path / "elsewhere"))
    keys = workspace.keys(simulated=True)
    outcome = delete_local_flow(home=str(workspace.root), subjects=[keys.subject("contributor-001")])
    assert (outcome["verdict"]["row"], outcome["verdict"]["outcome"]) == ("exact-head", "passed")
    assert "it is exact" in outcome["service"]
    deletion = Journal(workspace).find(outcome["request"])
    assert (deletion.exact, deletion.references, deletion.twin) == (True, None, None)
    after = find_statistics(workspace, deletion.unlearned)
    assert [each.uri for each in workspace.artifacts.manifests("statistics")] == [after.uri]
    (folder,) = (workspace.root / ".tmu" / "evidence").iterdir()
    named = json.loads((folder / "manifest.json").read_text())
    assert named["case"]["statistics"]["uri"] != after.uri
    assert named["made"]["statistics"] == after.model_dump()
    payload = json.loads((folder / "certificate.json").read_text())["payload"]
    certificate = json.loads(base64.b64decode(payload))["predicate"]
    making = next(each for each in certificate.values() if isinstance(each, dict) and "exact" in each)
    assert (making["method"], making["exact"]) == ("exact-head", True)
    found = good(workspace.root, "verify-erasure", "--subject", "contributor-001")  # the forget set is gone by now
    told = {each["role"]: each["learned"] for each in found["models"]}
    assert (found["outcome"], told) == ("PASS", {"unlearned": "unlearned"})


class _Restored:
    """The folder of an artifact, to be spoilt; afterwards it is as it was."""

    def __init__(self, workspace: Workspace, ref: StatisticsRef):
        self._folder = workspace.artifacts.fetch(ref.uri, ref.digest)
        self._copy = self._folder.with_name(f".kept-{self._folder.name}")

    def __enter__(self) -> Path:
        shutil.copytree(self._folder, self._copy)
        return self._folder

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder)
        os.rename(self._copy, self._folder)


def _drop(workspace: Workspace, model: ModelRef) -> None:
    """As if it had never been made."""
    workspace.artifacts.remove(model.uri)
    workspace.artifacts.remove(f"statistics/{model.uri.partition('/')[2]}")
