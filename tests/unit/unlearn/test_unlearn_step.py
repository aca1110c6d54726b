"""What the step hands to a method: the hold-out only where it is asked for, and never a forgotten record in it."""

from types import SimpleNamespace

import pytest

from tests.synthetic import blobs, tiny_net
from tmu.config import Params, UnlearnConfig
from tmu.steps import unlearn_model as step


@pytest.mark.parametrize(("method", "asks"), [("regun", True), ("finetune", False), ("tmu", False)])
def test_the_hold_out_is_loaded_for_those_that_ask_without_the_forgotten(monkeypatch, method, asks):
    forgotten, loaded = frozenset({"ab"}), []

    def examples(store, split, **which):
        loaded.append((split, which))
        return blobs(8)

    monkeypatch.setattr(step, "examples", examples)
    monkeypatch.setattr(step, "open_without", lambda *_: None)
    monkeypatch.setattr(step, "retired_with", lambda *_: ())
    monkeypatch.setattr(step, "forget_keys", lambda workspace, forget: forgotten)
    monkeypatch.setattr(step, "load_model", lambda *_: (tiny_net(), SimpleNamespace(classes=("a", "b", "c"))))
    monkeypatch.setattr(step, "load_twin", lambda *_: None)
    monkeypatch.setattr(step, "engine", lambda *_: None)
    monkeypatch.setattr(step, "refuse_suppressed", lambda *_: None)
    workspace = SimpleNamespace(settings=SimpleNamespace(device="cpu"))
    params = Params(unlearn=UnlearnConfig(method=method))
    case = SimpleNamespace(data=None, forget=None, original=None, twin=None, params=params)
    problem, *_ = step.problem_of(workspace, case, "key", None)
    assert (problem.holdout is not None) == asks
    assert [which for split, which in loaded if split == "holdout"] == [{"without": forgotten}] * asks
    assert {split for split, _ in loaded} == {"train"} | ({"holdout"} if asks else set())
