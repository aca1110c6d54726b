import copy
from functools import partial

import pytest
from torch import nn

from tests.synthetic import RECIPE, SEEDS, blobs, tiny_net
from tmu.audit.probes.relearn import Relearned, relearn_steps
from tmu.errors import ConfigError
from tmu.models.registry import head_of
from tmu.train import fit, logits_of

FORGET = blobs(48, seed=5, label_noise=0.6)  # labels that can only be learned by heart


def _fit(model, after_step, epochs=35):
    config = RECIPE.model_copy(update={"epochs": epochs, "schedule": "constant", "lr": 0.1})
    fit(model, FORGET, config, SEEDS, after_step=after_step)


def _accuracy(model):
    return float((logits_of(model, FORGET.images).argmax(1) == FORGET.labels).float().mean())


class _Counter(nn.Module):
    """A model whose accuracy is the number of its steps / 10."""

    def __init__(self, steps=0):
        super().__init__()
        self.steps = steps


def _count(model, after_step, most=100):
    for step in range(1, most + 1):
        model.train()
        model.steps += 1
        after_step(model, step)


def _counted(model):
    assert not model.training
    return min(model.steps / 10, 1.0)


@pytest.mark.parametrize(("start", "expected"), [(0, 9), (4, 5), (9, 0), (10, 0)])
def test_the_first_step_within_alpha_counts(start, expected):
    found = relearn_steps(_Counter(start), _count, _counted, 0.95, cap=50, alpha=0.05)
    assert found == Relearned(expected, censored=False)


def test_alpha_moves_the_aim():
    assert relearn_steps(_Counter(), _count, _counted, 1.0, cap=50, alpha=0.5).steps == 5


def test_at_the_cap_the_number_is_censored_unless_reached_there():
    assert relearn_steps(_Counter(), _count, _counted, 1.0, cap=4) == Relearned(4, censored=True)
    assert relearn_steps(_Counter(), _count, _counted, 1.0, cap=10) == Relearned(10, censored=False)


def test_training_that_ends_early_and_a_cap_of_nothing_are_refused():
    with pytest.raises(ConfigError, match="ended after 3 of 50 steps"):
        relearn_steps(_Counter(), partial(_count, most=3), _counted, 1.0, cap=50)
    with pytest.raises(ConfigError, match="Allow at least one"):
        relearn_steps(_Counter(), _count, _counted, 1.0, cap=0)


def test_an_error_inside_training_is_not_taken_for_success():
    def broken(model, after_step):
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        relearn_steps(_Counter(), broken, _counted, 1.0, cap=5)


def test_with_the_engine_a_model_that_kept_a_trace_relearns_faster():
    never = tiny_net(3)
    trained = copy.deepcopy(never)
    _fit(trained, None)
    original = _accuracy(trained)
    trace = copy.deepcopy(trained)
    head_of(trace).load_state_dict(head_of(tiny_net(8)).state_dict())  # forgets in its last layer alone
    found = {
        name: relearn_steps(model, _fit, _accuracy, original, cap=100)
        for name, model in {"trained": trained, "trace": trace, "never": never}.items()
    }
    assert found["trained"] == Relearned(0, censored=False)
    assert 0 < found["trace"].steps < found["never"].steps / 2 < 50
    assert not trace.training and _accuracy(trace) >= original - 0.05
