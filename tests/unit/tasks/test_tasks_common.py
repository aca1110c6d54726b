"""A task's cache key: the code of the method that is asked for, and nothing of the workspace's own parameters."""

from types import SimpleNamespace

import pytest

from tasks.common import cache_key
from tmu.config import Config, Params
from tmu.settings import Settings
from tmu.steps import fit_twin, train_model, unlearn_model


def _workspace(**given) -> SimpleNamespace:
    settings = Settings(artifacts="s3://a", device="cpu", threads=1, **given)
    return SimpleNamespace(settings=settings, params=Params(seed=9), state=str)


HERE = _workspace()


class Case(Config):
    """What holds parameters."""

    params: Params


def _key(code, params: Params, workspace: SimpleNamespace = HERE) -> str:
    return cache_key("stage", code)(None, {"workspace": workspace, "params": params})


def test_the_key_follows_the_world_size():
    ranked = _workspace(compute_backend="torchrun", compute_ranks=2)
    assert _key(train_model.code_of, Params()) != _key(train_model.code_of, Params(), ranked)


def test_the_key_follows_the_parameters_and_the_code_of_the_method():
    soft, scrub = Params(), Params().with_method("scrub")
    assert _key(unlearn_model.code_of, soft) == _key(unlearn_model.code_of, soft)
    assert _key(unlearn_model.code_of, soft) != _key(unlearn_model.code_of, scrub)
    assert _key(unlearn_model.code_of, soft) != _key(fit_twin.code_of, soft)


def test_parameters_are_found_alone_or_in_what_holds_them_and_never_in_the_workspace():
    mine, asked = Params(seed=3), []

    def code_of(params: Params) -> tuple[str, ...]:
        asked.append(params)
        return ()

    key = cache_key("stage", code_of)
    for given in ({"params": mine}, {"case": Case(params=mine)}):
        key(None, {"workspace": HERE, **given})
    assert asked == [mine, mine]
    with pytest.raises(TypeError, match="no parameters"):
        key(None, {"workspace": HERE, "run": 1})
