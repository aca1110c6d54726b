"""What a model card says of the limits of the version that is exported."""

from types import SimpleNamespace

import pytest

from tmu.config import Params
from tmu.steps.export_model import limits_of


@pytest.mark.parametrize(
    ("role", "method", "approximate"),
    [
        ("original", "original", False),
        ("unlearned", "tmu-soft", True),
        ("unlearned", "exact-head", False),
        ("unlearned", "retrain", False),
    ],
)
def test_only_what_an_approximate_method_made_is_called_approximate(
    role: str, method: str, approximate: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tmu.steps.export_model.adoption_of", lambda *_: None)
    version = SimpleNamespace(role=role, tags={"method": method}, weights_sha256="0")
    said = limits_of(SimpleNamespace(params=Params()), version, {})
    assert any("approximate" in each for each in said) == approximate
