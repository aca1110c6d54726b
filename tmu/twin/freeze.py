"""A twin as tensors and JSON: dataclasses of tensors, numbers, configs and networks, without pickle.

The fields are walked, not listed: a twin that gains a part is stored with it. Only dataclasses and configs of `tmu`
are rebuilt, and a network only from the suite's own architecture.
"""

import importlib
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tmu.config import Config
from tmu.errors import ModelError

Tensors = dict[str, Tensor]
_ANEW = "Fit it again with `tmu twin fit`."


def freeze(value: Any, tensors: Tensors, name: str = "root") -> Any:
    """JSON value that stands for `value`; tensors go into `tensors` by their place."""
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, nn.Module):
        state = {key: freeze(part, tensors, f"{name}.{key}") for key, part in value.state_dict().items()}
        return {"network": state}
    if isinstance(value, Config):
        return {"config": _place(value), "fields": value.model_dump(mode="json")}
    if is_dataclass(value):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        return {"record": _place(value), "fields": _each(parts, tensors, name)}
    if isinstance(value, dict):
        return {"dict": _each(value, tensors, name)}
    if isinstance(value, list | tuple):
        items = [freeze(part, tensors, f"{name}.{number}") for number, part in enumerate(value)]
        return {type(value).__name__: items}
    if value is None or isinstance(value, bool | int | float | str):
        return {"plain": value}
    raise ModelError(f"`{name}` is a {type(value).__name__}, which cannot be stored.", "Teach tmu/twin/freeze.py.")


def thaw(tree: Any, tensors: Tensors, network: Callable[[], nn.Module]) -> Any:
    """The inverse of `freeze`; `network()` gives an empty network of the suite's architecture."""
    fields_of = tree.get("fields", {})
    kind = next(name for name in tree if name != "fields")
    given = tree[kind]
    if kind == "tensor":
        return tensors[given]
    if kind == "network":
        net = network()
        net.load_state_dict({key: thaw(part, tensors, network) for key, part in given.items()})
        return net.eval()
    if kind == "config":
        return _config_class(given).model_validate(fields_of)
    if kind == "record":
        return _record(given, {key: thaw(part, tensors, network) for key, part in fields_of.items()})
    if kind == "dict":
        return {key: thaw(part, tensors, network) for key, part in given.items()}
    if kind in ("list", "tuple"):
        items = [thaw(part, tensors, network) for part in given]
        return items if kind == "list" else tuple(items)
    return given


def _each(parts: dict[str, Any], tensors: Tensors, name: str) -> dict[str, Any]:
    return {key: freeze(part, tensors, f"{name}.{key}") for key, part in parts.items()}


def _place(value: Any) -> str:
    return f"{type(value).__module__}:{type(value).__qualname__}"


def _record(place: str, parts: dict[str, Any]) -> Any:
    """A dataclass of `tmu`. Raises ModelError where the stored parts are not those of this version's class."""
    found = _class(place, None)
    different = {field.name for field in fields(found)} ^ set(parts)
    if different:
        raise ModelError(
            f"The stored twin is of another version of tmu: `{place}` differs in {', '.join(sorted(different))}.",
            _ANEW,
        )
    return found(**parts)


def _config_class(place: str) -> type[Config]:
    return _class(place, Config)


def _class(place: str, base: type | None) -> Any:
    module, _, name = place.partition(":")
    found = getattr(importlib.import_module(module), name, None) if module.startswith("tmu.") else None
    if not isinstance(found, type) or not (issubclass(found, base) if base else is_dataclass(found)):
        raise ModelError(f"A stored twin names `{place}`, which is not a part of one.", _ANEW)
    return found


def empty(build: Callable[[], nn.Module]) -> nn.Module:
    """A network whose first weights do not matter; torch's generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        return build()
