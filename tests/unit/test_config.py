"""Parameters: files of earlier versions still work, and what is unknown is refused by name."""

import pytest

from tmu.config import Params, load_params
from tmu.errors import ConfigError


@pytest.mark.parametrize("name", ["cross_fit", "halves"])
def test_a_parameter_of_an_earlier_version_that_is_of_no_use_any_more_is_passed_over(tmp_path, name):
    (tmp_path / "params.yaml").write_text(f"twin: {{{name}: false, folds: 7}}\n")
    params = load_params(tmp_path / "params.yaml")
    assert params.twin.folds == 7
    assert name not in params.model_dump()["twin"]
    assert params.twin == Params.model_validate({"twin": {"folds": 7}}).twin


@pytest.mark.parametrize(
    ("part", "key"), [("twin", "crossfit"), ("references", "cross_fit"), ("references", "networks")]
)
def test_an_unknown_parameter_is_refused_by_name(tmp_path, part, key):
    (tmp_path / "params.yaml").write_text(f"{part}: {{{key}: 1}}\n")
    with pytest.raises(ConfigError, match=rf"{part}\.{key}"):
        load_params(tmp_path / "params.yaml")
