"""What a stored model says it needs."""

import pytest

from tmu.models.bundle import Arch
from tmu.stores.mlflow_package import required


@pytest.mark.parametrize(
    ("name", "library"),
    [("timm/resnet18", ("timm",)), ("torchvision/resnet18", ("torchvision",)), ("small_resnet", ()), ("mine/net", ())],
)
def test_the_library_of_an_architecture_is_required(name, library):
    plain = required(Arch("resnet9", (3, 8, 8), ("a", "b"), {}))
    assert "torch" in plain and "tmu" not in plain
    assert required(Arch(name, (3, 8, 8), ("a", "b"), {})) == (*plain, *library)
