"""What a recipe may not have been meant to do is said once, by name and with what helps; usual recipes say nothing."""

import pytest

from tmu.config import Params
from tmu.steps.recipe_warnings import recipe_warnings


def _params(train: dict, **parts) -> Params:
    return Params.model_validate({"train": train, **parts})


def test_the_defaults_and_a_fine_tuning_say_nothing():
    tuned = {"optimiser": "adamw", "backbone_lr": 0.1, "early_stop": 3, "augment": ["crop", "flip"]}
    assert recipe_warnings(Params(), 10_000) == recipe_warnings(_params(tuned), 10_000) == ()
    assert recipe_warnings(_params({"backbone_lr": 0.0}, model={"init": "start.safetensors"})) == ()


@pytest.mark.parametrize(
    ("params", "held", "said"),
    [
        (_params({"backbone_lr": 0.0}), None, "begins with random weights"),
        (_params({"early_stop": 2}), 40, "by 40 hold-out records, of which each is 2.5 points"),
        (_params({"early_stop": 2, "holdout_records": 50}), 4000, "by 50 hold-out records"),
        (_params({"optimiser": "adamw"}, unlearn={"method": "tmu"}), None, "`optimiser`. Set the same below"),
    ],
)
def test_each_risk_is_said_with_what_helps(params, held, said):
    (warning,) = recipe_warnings(params, held)
    assert said in warning
    assert any(word in warning for word in ("Name", "Import", "Set"))


def test_the_twin_matters_only_to_methods_that_have_one():
    assert recipe_warnings(_params({"optimiser": "adamw"}, unlearn={"method": "tmu-soft"})) == ()
