"""The comparison that the demo ends with, on models of the digits."""

from pathlib import Path

import pytest

from tests.integration.conftest import make_workspace
from tmu.deletion.plan import Asked
from tmu.steps.acknowledge import forget_set
from tmu.steps.beside_gold import beside_gold, unlearned_for
from tmu.steps.cases import UnlearnCase
from tmu.steps.loading import data_ref, run_record
from tmu.steps.plan import plan_deletion
from tmu.steps.train_model import train_gold, train_original
from tmu.steps.unlearn_model import unlearn_model

pytestmark = pytest.mark.slow


def test_models_are_set_beside_a_gold(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    data, keys = data_ref(workspace), workspace.keys(simulated=True)
    asked = Asked.of([keys.subject(f"contributor-{number:03d}") for number in range(20)], [])
    forget = forget_set(workspace, plan_deletion(workspace, asked))
    original = train_original(workspace, data, workspace.params)
    gold = train_gold(workspace, data, forget, workspace.params)
    before, aim = beside_gold(workspace, data, forget, {"original": original, "gold": gold}, gold)
    assert (before.name, aim.name) == ("original", "gold")
    assert aim.distance == 0.0
    assert 0.0 < before.distance < 2**0.5
    assert before.accuracy_forgotten > aim.accuracy_forgotten  # it has learned them
    assert all(0 < each.accuracy_test <= 100 for each in (before, aim))
    run = run_record(workspace, gold)
    assert unlearned_for(workspace, forget) == {}
    params = workspace.params.with_method("finetune")
    tuned = unlearn_model(workspace, UnlearnCase(data=data, forget=forget, original=original, params=params))
    exactly = UnlearnCase(data=data, forget=forget, original=original, params=workspace.params.with_method("retrain"))
    unlearn_model(workspace, exactly)
    assert unlearned_for(workspace, forget) == {"finetune": tuned}
    assert (aim.seconds_step, aim.seconds_whole) == (run["seconds_train"], run["seconds_total"])
