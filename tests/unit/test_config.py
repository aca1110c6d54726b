"""Parameters: an older name still works, and is never a second opinion."""

import pytest

from tmu.config import Params, TwinConfig, load_params
from tmu.errors import ConfigError


@pytest.mark.parametrize("name", ["cross_fit", "halves"])
def test_an_older_name_of_a_parameter_still_works(tmp_path, name):
    (tmp_path / "params.yaml").write_text(f"twin: {{{name}: false}}\n")
    params = load_params(tmp_path / "params.yaml")
    assert params.twin.cross_fit is False and params.model_dump()["twin"]["cross_fit"] is False
    assert params == Params(twin=TwinConfig(cross_fit=False))


def test_both_names_of_a_parameter_at_once_are_refused(tmp_path):
    (tmp_path / "params.yaml").write_text("twin: {cross_fit: false, halves: true}\n")
    with pytest.raises(ConfigError, match=r"twin\.halves"):
        load_params(tmp_path / "params.yaml")
