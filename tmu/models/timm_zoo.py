"""Any classifier of timm that ends in a linear layer, under the name `timm/<name>`; needs the extra `timm`."""

from typing import Any

from torch import nn

from tmu.errors import ConfigError, ModelError
from tmu.models.colour import COLOURS, Colour
from tmu.models.registry import architecture

_OURS = ("pretrained", "num_classes", "in_chans", "checkpoint_path", "pretrained_cfg", "cache_dir", "features_only")


@architecture("timm/")
def timm_zoo(shape: tuple[int, int, int], classes: int, name: str, **options: Any) -> nn.Module:
    """`timm.create_model(name, pretrained=False, num_classes=classes, **options)` behind our normalisation.

    timm never downloads weights here: `model.init` names a file to start from (docs/start-from-weights.md).
    """
    try:
        import timm
    except ImportError as error:
        raise ConfigError(
            f"`timm/{name}` is an architecture of timm, which is not installed.",
            "Install it: `pip install -e '.[timm]'` in the repository.",
        ) from error
    if ":" in name or "/" in name or not timm.is_model(name):  # `hf-hub:`, `local-dir:`: timm would load what they name
        raise ModelError(f"timm has no architecture `{name}`.", "See `timm.list_models()`.")
    if shape[0] not in (1, COLOURS):
        raise ModelError(f"`timm/{name}` takes 1 or 3 channels, not {shape[0]}.", "Choose another architecture.")
    for fixed in _OURS:
        if fixed in options:
            raise ConfigError(f"`timm/{name}` does not take the option `{fixed}`.", "Leave it out.")
    try:
        body = timm.create_model(name, pretrained=False, num_classes=classes, **options)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise ConfigError(f"`timm/{name}`: {error}.", "Fix the model's options.") from error
    return Colour(body)
