"""A class that goes as a whole: its records are erased, its output is removed, the others are numbered anew."""

import json

import numpy as np
import pytest
import yaml
from sklearn.datasets import load_digits

from flows.carry_out import RETIRED, carry_out
from flows.observer import Observer
from tests.integration.conftest import make_workspace
from tmu.data.store import RecordStore
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.errors import ConfigError, GateError
from tmu.models.served import load
from tmu.refs import ModelRef
from tmu.steps.acknowledge import acknowledge
from tmu.steps.cases import UnlearnCase
from tmu.steps.loading import load_model
from tmu.steps.measure_accuracy import measure_accuracy
from tmu.steps.plan import Planner
from tmu.steps.unlearn_model import unlearn_model
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow
GONE = 3


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A workspace after the deletion of all threes: (workspace, deletion, outcome). The first attempt was cut short."""
    workspace = make_workspace(tmp_path_factory.mktemp("retired") / "w", model={"options": {"width": 8}})
    keys, truth = workspace.keys(simulated=True), load_digits().target
    threes = [keys.record(f"digit-{number:04d}") for number in np.flatnonzero(truth == GONE)]
    asked = Asked.of([], threes)
    deletion = acknowledge(workspace, Planner(workspace).plan(asked), asked)
    with pytest.MonkeyPatch.context() as crash:
        crash.setattr(Observer, "put_version_into_service", _fail)
        with pytest.raises(RuntimeError):
            carry_out(workspace, deletion, Observer(workspace))
    workspace = Workspace.open(workspace.root)
    outcome = carry_out(workspace, Journal(workspace).find(deletion.id), Observer(workspace))
    return workspace, Journal(workspace).find(deletion.id), outcome


def _fail(*_, **__):
    raise RuntimeError("stopped by the test")


def test_the_plan_says_so_and_names_no_class(served):
    plan = served[1].plan
    assert (plan.retires, plan.choice.method) == ((GONE,), "retrain")
    assert "its output is retired, the other 9 are numbered anew" in plan.warnings[0]
    assert list(plan.by_class) == [f"retired-{GONE}"] and "output" in plan.choice.reason


def test_the_data_name_the_class_no_more(served):
    workspace, deletion, outcome = served
    store = RecordStore.open(workspace.data)
    assert store.info.retired == (GONE,) and store.info.classes[GONE] == f"retired-{GONE}"
    assert len(store.info.live) == 9 and f'"{GONE}"' not in (workspace.data / "store.json").read_text()
    assert sum(by_class[f"retired-{GONE}"] for by_class in store.counts().values()) == 0
    assert store.verify()["records"] and store.digest() == deletion.data.digest
    assert any("None of the" in sentence for sentence in outcome["checked"])


def test_the_model_in_service_has_an_output_less_and_is_right(served):
    workspace, deletion, outcome = served
    champion = workspace.registry.get_alias("digits", "champion")
    assert champion.weights_sha256 == deletion.unlearned.weights
    assert outcome["service"] == deletion.service == RETIRED and outcome["verdict"] is None
    model = ModelRef.model_validate(json.loads(champion.tags["artifact"]))
    assert load_model(workspace, model)[1].classes == tuple(name for name in "0123456789" if name != str(GONE))
    with workspace.registry.stored(champion) as bundle:
        served_model = load(bundle)
        assert served_model.predict(np.zeros((2, *served_model.shape), np.float32)).shape == (2, 9)
    accuracy = measure_accuracy(workspace, deletion.data, model)
    assert accuracy.right > 60 > 2 * accuracy.largest_class  # numbered wrongly it would be right by chance


def test_the_stored_signature_is_of_nine_outputs(served):
    workspace = served[0]
    champion = workspace.registry.get_alias("digits", "champion")
    found = workspace.state("mlartifacts").rglob(f"{champion.model_id}/**/MLmodel")
    (signature,) = (yaml.safe_load(path.read_text())["signature"] for path in found)
    assert len(json.loads(signature["outputs"])) == 9


def test_the_next_request_works_on_the_smaller_model(served):
    workspace = Workspace.open(served[0].root)
    asked = Asked.of([workspace.keys(simulated=True).subject("contributor-011")], [])
    plan = Planner(workspace).plan(asked, "finetune")
    assert plan.retires == () and plan.warnings == ()
    deletion = acknowledge(workspace, plan, asked, audited=False)
    outcome = carry_out(workspace, deletion, Observer(workspace))
    unlearned = Journal(workspace).find(outcome["request"]).unlearned
    assert len(load_model(workspace, unlearned)[1].classes) == 9


def test_a_method_that_cannot_remove_an_output_refuses(served):
    workspace, deletion, _ = served
    case = UnlearnCase(
        data=deletion.plan.data,
        forget=deletion.forget,
        original=deletion.base,
        params=deletion.params.with_method("finetune"),
    )
    with pytest.raises((ConfigError, GateError), match="cannot remove an output"):
        unlearn_model(workspace, case)
