"""`--set` and `--option`: dotted keys, YAML values, and refusal by name."""

import pytest

from tmu.cli.overrides import overridden, pair
from tmu.config import Params
from tmu.errors import ConfigError


def test_values_are_placed_and_typed() -> None:
    params = overridden(Params(), ["train.epochs=3", "model.options.width=8", "twin.features=[distance]", "seed=4"])
    assert (params.train.epochs, params.seed) == (3, 4)
    assert params.model.options == {"width": 8}
    assert params.twin.features == ("distance",)
    assert params.train.lr == Params().train.lr


def test_nothing_set_changes_nothing() -> None:
    assert overridden(Params(), []) == Params()


@pytest.mark.parametrize(
    ("assignment", "named"),
    [
        ("train.epoch=3", "train.epoch"),
        ("nope=1", "nope"),
        ("train.epochs=0", "train.epochs"),
        ("seed.deep=1", "seed.deep"),
        ("train.epochs", "train.epochs"),
        ("train.epochs=[", "train.epochs"),
    ],
)
def test_what_is_wrong_is_named(assignment: str, named: str) -> None:
    with pytest.raises(ConfigError, match=f"`{named}`"):
        overridden(Params(), [assignment])


def test_only_the_first_equals_sign_separates() -> None:
    assert pair("root=a=b", "--option") == ("root", "a=b")
