"""Any torchvision classifier, freshly initialised, under the name `torchvision/<name>`."""

from typing import Any

from torch import nn

from tmu.errors import ConfigError, ModelError
from tmu.models.colour import COLOURS, Colour
from tmu.models.registry import architecture


@architecture("torchvision/")
def torchvision_zoo(shape: tuple[int, int, int], classes: int, name: str, **options: Any) -> nn.Module:
    """`torchvision.models.get_model(name, weights=None, num_classes=classes, **options)` behind our normalisation.

    torchvision never downloads weights here: `model.init` names a file to start from (docs/start-from-weights.md).
    """
    import torchvision.models as zoo

    if name not in zoo.list_models(module=zoo):
        raise ModelError(f"torchvision has no classifier `{name}`.", "See `torchvision.models.list_models()`.")
    if shape[0] not in (1, COLOURS):
        raise ModelError(f"`torchvision/{name}` takes 1 or 3 channels, not {shape[0]}.", "Choose another architecture.")
    for fixed in ("weights", "num_classes", "progress"):
        if fixed in options:
            raise ConfigError(f"`torchvision/{name}` does not take the option `{fixed}`.", "Leave it out.")
    try:
        body = zoo.get_model(name, weights=None, num_classes=classes, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"`torchvision/{name}`: {error}.", "Fix the model's options.") from error
    return Colour(body)
