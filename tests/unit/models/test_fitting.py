"""An architecture that insists on an input size is refused before anything is trained, with its own cause."""

import pytest
import torch

from tmu.config import Params
from tmu.errors import ConfigError
from tmu.models.bundle import Arch
from tmu.models.fitting import refuse_misfit


def arch(name: str, shape: tuple[int, int, int], **options) -> Arch:
    return Arch(name, shape, ("a", "b"), options)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (arch("timm/vit_tiny_patch16_224", (3, 32, 32)), r"images of 3x32x32: Input height \(32\) doesn't match"),
        (arch("torchvision/squeezenet1_1", (3, 32, 32)), r"no nn\.Linear head"),
        (arch("resnet9", (3, 4, 4), width=4), "does not take images of 3x4x4"),
        (arch("torchvision/alexnet", (3, 32, 32)), "Output size is too small"),
    ],
)
def test_the_cause_is_said(given, said):
    with pytest.raises(Exception, match=said) as refused:
        refuse_misfit(given)
    assert type(refused.value).__name__ in ("ConfigError", "ModelError")


def test_what_fits_passes_and_the_generator_stays():
    before = torch.random.get_rng_state()
    refuse_misfit(arch("small_resnet", (1, 8, 8), width=4))
    refuse_misfit(arch("timm/vit_tiny_patch16_224", (3, 32, 32), img_size=32, depth=1))
    assert torch.equal(before, torch.random.get_rng_state())


def test_planning_and_training_refuse_it(tmp_path):
    from tests.integration.conftest import make_workspace
    from tmu.steps.fit_references import fit_references
    from tmu.steps.loading import data_ref, open_store
    from tmu.steps.preflight import check_parameters
    from tmu.steps.train_model import train_original

    workspace = make_workspace(tmp_path / "w")
    data, params = data_ref(workspace), Params.model_validate({"model": {"name": "timm/vit_tiny_patch16_224"}})
    calls = (
        lambda: check_parameters(open_store(workspace, data), params, None),
        lambda: train_original(workspace, data, params),
        lambda: fit_references(workspace, data, params),
    )
    for call in calls:
        with pytest.raises(ConfigError, match=r"does not take images of 1x8x8.*8.*224"):
            call()
    assert not workspace.artifacts.manifests("model")
