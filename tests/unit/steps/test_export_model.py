"""What a model card says of the limits of the version that is exported."""

from types import SimpleNamespace

import pytest

from tmu.config import Params
from tmu.steps.export_model import _limits


@pytest.mark.parametrize(
    ("role", "method", "approximate"),
    [
        ("original", "original", False),
        ("unlearned", "tmu-soft", True),
        ("unlearned", "exact-head", False),
        ("unlearned", "retrain", False),
    ],
)
def test_only_what_an_approximate_method_made_is_called_approximate(role: str, method: str, approximate: bool) -> None:
    version = SimpleNamespace(role=role, tags={"method": method})
    said = _limits(SimpleNamespace(params=Params()), version)
    assert any("approximate" in each for each in said) == approximate
