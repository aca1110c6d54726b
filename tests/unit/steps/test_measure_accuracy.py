"""What `tmu train` says of a model: how it answers once it is trained, and whether that is worth anything."""

from pathlib import Path

import pytest

from tests.cli_tools import tmu
from tests.integration.conftest import QUICK, make_workspace
from tmu.deletion.plan import Asked
from tmu.steps import measure_accuracy as step
from tmu.steps.acknowledge import forget_set
from tmu.steps.loading import data_ref
from tmu.steps.measure_accuracy import Accuracy, measure_accuracy
from tmu.steps.plan import plan_deletion
from tmu.steps.train_model import train_original


def test_it_is_of_the_trained_model_and_beside_the_largest_class(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "w", train=QUICK["train"] | {"epochs": 1})
    data = data_ref(workspace)
    model = train_original(workspace, data, workspace.params)
    known, unseen = (measure_accuracy(workspace, data, model, split) for split in ("train", "test"))
    assert known is not None and unseen is not None
    assert 9 < unseen.largest_class < 12  # ten digits, about as many of each
    assert 0 <= unseen.right <= 100 and 0 <= known.right <= 100
    asked = Asked.of([workspace.keys(simulated=True).subject("contributor-003")], [])
    forget = forget_set(workspace, plan_deletion(workspace, asked))
    rest = measure_accuracy(workspace, data, model, "train", forget)
    assert rest is not None and rest.right != known.right  # of fewer records


@pytest.mark.parametrize(("right", "warned"), [(9.0, True), (11.0, True), (60.0, False)])
def test_a_model_that_is_worth_nothing_is_not_shown_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, right: float, warned: bool
) -> None:
    workspace = make_workspace(tmp_path / "w", train=QUICK["train"] | {"epochs": 1})
    found = Accuracy(right=right, largest_class=11.0)
    monkeypatch.setattr(step, "measure_accuracy", lambda *_: found)
    result = tmu(workspace.root, "train", "original", "--json")
    assert result.exit_code == 0, result.output
    assert ("answering the most frequent class" in result.stderr) is warned
