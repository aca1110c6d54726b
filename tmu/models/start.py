"""Begin a fresh network with weights that were trained elsewhere: names matched, head replaced, misfits named.

The file's names may have a prefix that ours have not (`module.`, `backbone.`), or lack one that ours have (`body.`).
The head, the last `nn.Linear`, keeps the fresh weights that the seed drew for it where the file has none, or one of
another number of classes. All else must fit, tensor by tensor, the running statistics of batch normalisation included.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tmu.errors import ModelError
from tmu.models.registry import head_of

_COUNTER = "num_batches_tracked"  # counts batches and changes no output; older files lack it
_VARIANCE = "running_var"
_SHOWN = 8  # misfits that the error names; the rest goes to its details


@dataclass(frozen=True)
class Start:
    """Weights by name, as their file holds them. sha256: of the file (hex)."""

    sha256: str
    tensors: Mapping[str, Tensor]


def begin(model: nn.Module, start: Start) -> bool:
    """Put the start's weights into `model`, which was built fresh; returns whether its head stays the fresh one.

    Raises ModelError naming each tensor that is missing, left over, of another shape, or not finite. The model is
    unchanged then.
    """
    wanted = model.state_dict()
    given = _named_alike(start.tensors, wanted)
    head = [f"{_name_of(model, head_of(model))}.{part}" for part in ("weight", "bias")]
    head = [name for name in head if name in wanted]
    fresh = _is_other_head(head, given, wanted)
    taken = {name: tensor for name, tensor in given.items() if not (fresh and name in head)}
    needed = {name: tensor for name, tensor in wanted.items() if not (fresh and name in head)}
    taken |= {
        name: torch.zeros_like(tensor)
        for name, tensor in needed.items()
        if name not in taken and name.endswith(_COUNTER)
    }
    faults = _misfits(taken, needed)
    if faults and not given.keys() & needed.keys():
        theirs, ours = (f"`{min(names)}`" for names in (start.tensors, needed))
        raise ModelError(
            f"The weights to start from ({start.sha256[:12]}) name no tensor as the architecture does: they have "
            f"{theirs} and others, it has {ours} and others.",
            "Name their architecture under `model` in params.yaml; if the file is of another library's same network, "
            "rename its tensors (docs/start-from-weights.md).",
            faults,
        )
    if faults:
        more = f" (and {len(faults) - _SHOWN} more)" if len(faults) > _SHOWN else ""
        raise ModelError(
            f"The weights to start from ({start.sha256[:12]}) do not fit the architecture: "
            f"{'; '.join(faults[:_SHOWN])}{more}.",
            "Name the architecture and the options that they were trained with under `model` in params.yaml.",
            faults,
        )
    with torch.no_grad():
        for name, tensor in taken.items():
            wanted[name].copy_(tensor)
    return fresh


def _is_other_head(head: list[str], given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> bool:
    """Whether the file has no head, or one that differs in the number of classes alone."""
    there = [name for name in head if name in given]
    if not there:
        return True
    same = all(given[name].shape == wanted[name].shape for name in there)
    alike = all(given[name].shape[1:] == wanted[name].shape[1:] for name in there)
    return not same and alike and there == head


def _misfits(taken: Mapping[str, Tensor], needed: Mapping[str, Tensor]) -> list[str]:
    """One line for each tensor that does not fit, by name."""
    found = []
    for name in sorted({*taken, *needed}):
        if name not in taken:
            found.append(f"`{name}` is missing")
        elif name not in needed:
            found.append(f"`{name}` is left over")
        elif taken[name].shape != needed[name].shape:
            shapes = [list(each[name].shape) for each in (taken, needed)]
            found.append(f"`{name}` has the shape {shapes[0]}, not {shapes[1]}")
        elif taken[name].is_floating_point() != needed[name].is_floating_point():
            found.append(f"`{name}` is {_type_of(taken[name])}, not {_type_of(needed[name])}")
        elif not _is_finite(taken[name], needed[name].dtype):
            found.append(f"`{name}` holds numbers that are not finite")
        elif name.endswith(_VARIANCE) and bool((taken[name] < 0).any()):
            found.append(f"`{name}` holds a variance below 0")
    return found


def _is_finite(tensor: Tensor, dtype: torch.dtype) -> bool:
    try:
        return bool(torch.isfinite(tensor.to(dtype)).all())
    except (RuntimeError, NotImplementedError):  # packed numbers, such as float4, which torch only stores
        return False


def _named_alike(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under our names, by the exchange of prefixes under which most of them fit."""

    def renamed(cut: str, put: str) -> dict[str, Tensor]:
        return {put + name.removeprefix(cut): tensor for name, tensor in given.items()}

    ways = [renamed(cut, put) for cut in _prefixes(given) for put in _prefixes(wanted)]
    return max(ways, key=lambda names: len(names.keys() & wanted.keys()))  # the first of equals: as it is


def _prefixes(names: Iterable[str]) -> list[str]:
    """Nothing, and the leading parts that all names share: `module.`, `module.body.`, and so on."""
    listed = list(names)
    found, rest = [""], listed
    while rest and all("." in name for name in rest) and len({name.partition(".")[0] for name in rest}) == 1:
        found.append(f"{found[-1]}{rest[0].partition('.')[0]}.")
        rest = [name.partition(".")[2] for name in rest]
    return found


def _name_of(model: nn.Module, wanted: nn.Module) -> str:
    return next(name for name, module in model.named_modules() if module is wanted)


def _type_of(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
