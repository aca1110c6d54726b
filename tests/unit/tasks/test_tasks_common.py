"""A task's cache key: the code of the method that is asked for, and nothing of the workspace's own parameters."""

from types import SimpleNamespace

import pytest

from tasks.common import cache_key
from tmu.config import Params
from tmu.steps import fit_twin, unlearn_model
from tmu.steps.cases import UnlearnCase

HERE = SimpleNamespace(
    settings=SimpleNamespace(artifacts="s3://a", device="cpu", threads=1), params=Params(seed=9), state=str
)


def _key(code, **named) -> str:
    return cache_key("stage", code)(None, {"workspace": HERE, **named})


def test_the_key_follows_the_parameters_and_the_code_of_the_method():
    soft, scrub = Params(), Params().with_method("scrub")
    assert _key(unlearn_model.code_of, params=soft) == _key(unlearn_model.code_of, params=soft)
    assert _key(unlearn_model.code_of, params=soft) != _key(unlearn_model.code_of, params=scrub)
    assert _key(unlearn_model.code_of, params=soft) != _key(fit_twin.code_of, params=soft)


def test_the_code_is_asked_with_the_parameters_of_the_call_and_never_with_the_workspace_s():
    asked, mine = [], Params(seed=3)
    for named in ({"params": mine}, {"case": UnlearnCase.model_construct(params=mine)}):
        _key(lambda params: asked.append(params) or ("tmu.refs",), **named)
    assert asked == [mine, mine]
    with pytest.raises(KeyError):
        _key(unlearn_model.code_of, run=1)
