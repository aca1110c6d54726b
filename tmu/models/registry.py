"""Architectures by name. A new file in this folder with an `@architecture` function adds one; nothing else changes."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from tmu.errors import ConfigError, ModelError
from tmu.plugins import MODELS, Plugin, brought, plugins

Builder = Callable[..., nn.Module]

_BUILDERS: dict[str, Builder] = {}

_COLOURS = 3
_FIXED_ARGUMENTS = 2  # a builder's first two parameters are `shape` and `classes`; the rest are its options


@dataclass(frozen=True)
class Constants:
    """What a model does to pixels in 0..1 first: (x - mean) / std, one number each or one a channel.

    Constants of the model, never statistics of the data: a mean computed over the training set would carry the
    forgotten records into the gold and the unlearned model.
    """

    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.25,)


class Normalise(nn.Module):
    """Pixels in 0..1 to roughly zero mean: (x - 0.5) / 0.25, or by other `Constants`.

    colours: the network gives grey images three channels, so that grey images, too, may have constants by colour.
    """

    mean: Tensor | float
    std: Tensor | float

    def __init__(self, colours: bool = False) -> None:
        super().__init__()
        self.colours = colours
        self.take(Constants())

    def take(self, constants: Constants) -> None:
        """Use these constants; they are no part of the state dict."""
        for name, values in (("mean", constants.mean), ("std", constants.std)):
            if hasattr(self, name):
                delattr(self, name)
            if len(values) == 1:
                setattr(self, name, values[0])
            else:
                self.register_buffer(name, torch.tensor(values).reshape(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in 0..1 to the same shape, about -2..2; with constants by colour grey images get 3 channels."""
        return (x - self.mean) / self.std


def architecture(name: str) -> Callable[[Builder], Builder]:
    """Register a builder `(shape, classes, **options) -> nn.Module` under `name`.

    A name that ends in `/` is a family: its builder gets the rest of the name as its third argument.
    """

    def register(builder: Builder) -> Builder:
        known = _BUILDERS.get(name)
        if known is not None and known.__module__ != builder.__module__:
            raise ValueError(f"the architecture `{name}` is registered twice")
        _BUILDERS[name] = builder
        return builder

    return register


def names() -> list[str]:
    """The known names, sorted, those of plugins included; a family shows as `prefix/<name>`."""
    mine = built_in_architectures()
    return sorted(f"{name}<name>" if name.endswith("/") else name for name in (*mine, *plugins(MODELS, mine)))


@cache
def built_in_architectures() -> dict[str, Builder]:
    """The builders of tmu itself by name: every module of this folder is imported once."""
    package = importlib.import_module("tmu.models")
    for module in pkgutil.iter_modules(package.__path__, "tmu.models."):
        importlib.import_module(module.name)
    return {name: builder for name, builder in _BUILDERS.items() if not brought(builder.__module__)}


def load_plugin(plugin: Plugin) -> Builder:
    """A plugin's builder. Raises ConfigError where it cannot be loaded, or registers no architecture of its name."""
    built_in_architectures()  # first: a plugin cannot take their names
    plugin.load_into(_BUILDERS)
    if plugin.name not in _BUILDERS:
        raise plugin.fault(f"`{plugin.module}` registers no architecture of that name")
    return _BUILDERS[plugin.name]


def module_of(name: str) -> str:
    """The dotted name of the module that builds the architecture. Raises as `build` does for an unknown name."""
    return _find(name)[0].__module__


def build(
    name: str,
    shape: tuple[int, int, int],
    classes: int,
    options: Mapping[str, Any] | None = None,
    constants: Constants = Constants(),
) -> nn.Module:
    """A fresh model for inputs (N, C, H, W) float in 0..1, ending in an `nn.Linear` head with `classes` outputs.

    The initial weights depend on torch's generator state alone: seed it before the call. `shape` is (C, H, W).
    Raises `ModelError` for an unknown name, `ConfigError` for an unknown option or constants that do not fit.
    """
    builder, extra = _find(name)
    options = dict(options or {})
    _check_options(name, list(inspect.signature(builder).parameters.values())[_FIXED_ARGUMENTS + len(extra) :], options)
    model = builder(tuple(shape), classes, *extra, **options)
    if head_of(model).out_features != classes:
        raise ModelError(f"`{name}` does not end in an nn.Linear head.", "Choose another architecture.")
    _normalise(model, name, shape[0], constants)
    return model


def width_option(width: Any) -> int:
    """Check the `width` option: a number of channels."""
    if isinstance(width, bool) or not isinstance(width, int) or width < 1:
        raise ConfigError(f"The option `width` is {width!r}.", "Give a whole number of channels, 1 or more.")
    return width


def head_of(model: nn.Module) -> nn.Linear:
    """The last `nn.Linear` in module order: the classifier head."""
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not linears:
        raise ModelError("The model has no nn.Linear head.", "Use an architecture that ends in nn.Linear.")
    return linears[-1]


def penultimate(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """One forward pass of (N, C, H, W): logits (N, K) and the head's input features (N, D)."""
    caught: list[Tensor] = []

    def catch(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        caught.append(inputs[0])

    hook = head_of(model).register_forward_pre_hook(catch)
    try:
        logits = model(x)
    finally:
        hook.remove()
    return logits, torch.flatten(caught[-1], 1)


def _normalise(model: nn.Module, name: str, channels: int, constants: Constants) -> None:
    """Give a model its constants. Raises ConfigError where it takes none, or not so many."""
    if constants == Constants():
        return
    layers = [module for module in model.modules() if isinstance(module, Normalise)]
    if not layers:
        raise ConfigError(f"`{name}` normalises by itself.", "Leave `model.mean` and `model.std` out.")
    for key, values in (("mean", constants.mean), ("std", constants.std)):
        many = {1, channels, *((_COLOURS,) if all(layer.colours for layer in layers) else ())}
        if len(values) not in many:
            raise ConfigError(
                f"`model.{key}` has {len(values)} numbers, and an image of the dataset {channels} channels.",
                "Give one number, or one for each channel.",
            )
    for layer in layers:
        layer.take(constants)


def _find(name: str) -> tuple[Builder, tuple[str, ...]]:
    prefix, slash, rest = name.partition("/")
    known, extra = (prefix + slash, (rest,)) if slash else (name, ())
    mine = built_in_architectures()
    if known in mine and (rest or not slash):
        return mine[known], extra
    others = plugins(MODELS, mine)
    if known in others and (rest or not slash):
        return load_plugin(others[known]), extra
    raise ModelError(f"There is no architecture `{name}`.", f"Known: {', '.join(names())}.")


def _check_options(name: str, parameters: list[inspect.Parameter], options: dict[str, Any]) -> None:
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return  # a family passes its options on and checks them itself
    known = [parameter.name for parameter in parameters]
    for option in options:
        if option not in known:
            listed = ", ".join(known) or "none"
            raise ConfigError(f"`{name}` has no option `{option}`.", f"Known options: {listed}.")
