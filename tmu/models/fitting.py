"""Whether an architecture takes the images of a dataset: found out with two blank ones, before anything is trained."""

import torch

from tmu.errors import ConfigError, ModelError
from tmu.models.bundle import Arch

_IMAGES = 2  # batch normalisation of one image has no variance where a feature map is one pixel
_MISFITS = (AssertionError, RuntimeError, ValueError, TypeError, IndexError)


def refuse_misfit(arch: Arch) -> None:
    """Raise ConfigError where the architecture cannot be trained on images (C, H, W) of its shape, naming the cause.

    Raises as `tmu.models.registry.build` does, too. Torch's generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        model = arch.build().train()
        try:
            logits = model(torch.zeros(_IMAGES, *arch.shape))
        except _MISFITS as error:
            cause = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".!")
            raise ConfigError(
                f"`{arch.name}` does not take images of {'x'.join(map(str, arch.shape))}: {cause}.",
                "Import the images at the size that it needs, give it yours under `model.options` where it has such an "
                "option (`image_size`, `img_size`), or choose another architecture.",
            ) from error
    if logits.shape != (_IMAGES, len(arch.classes)):
        raise ModelError(f"`{arch.name}` gives no logits (N, classes).", "Choose another architecture.")
