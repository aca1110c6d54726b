"""Any torchvision classifier, freshly initialised, under the name `torchvision/<name>`."""

from typing import Any

from torch import Tensor, nn

from tmu.errors import ConfigError, ModelError
from tmu.models.registry import Normalise, architecture

_COLOURS = 3


@architecture("torchvision/")
def torchvision_zoo(shape: tuple[int, int, int], classes: int, name: str, **options: Any) -> nn.Module:
    """`torchvision.models.get_model(name, weights=None, num_classes=classes, **options)` behind our normalisation.

    Pretrained weights are never loaded: the records they were trained on could not be unlearned.
    """
    import torchvision.models as zoo

    if name not in zoo.list_models(module=zoo):
        raise ModelError(f"torchvision has no classifier `{name}`.", "See `torchvision.models.list_models()`.")
    if shape[0] not in (1, _COLOURS):
        raise ModelError(f"`torchvision/{name}` takes 1 or 3 channels, not {shape[0]}.", "Choose another architecture.")
    for fixed in ("weights", "num_classes", "progress"):
        if fixed in options:
            raise ConfigError(f"`torchvision/{name}` does not take the option `{fixed}`.", "Leave it out.")
    try:
        body = zoo.get_model(name, weights=None, num_classes=classes, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"`torchvision/{name}`: {error}.", "Fix the model's options.") from error
    return _Colour(body)


class _Colour(nn.Module):
    """Normalise, give grey images three equal channels, and drop the side heads' logits that some bodies return."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.normalise, self.body = Normalise(), body

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1 or 3, H, W) in 0..1 to logits (N, K)."""
        logits = self.body(self.normalise(x).expand(-1, _COLOURS, -1, -1))
        return logits if isinstance(logits, Tensor) else logits.logits
