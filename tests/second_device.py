"""A second device for tests on machines without a GPU: real numbers, in memory of the host, with a GPU's rules.

Tensors on it refuse to meet tensors of the host, operations that have no deterministic algorithm on a GPU are refused,
and each time that the host would have to wait for the device is noted. Numbers are those of the processor's kernels, so
that what is computed here is what is computed there, bit for bit. torch lends the name `privateuseone` to such devices.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

NAME = "privateuseone"
DEVICE = torch.device(NAME, 0)

# no deterministic algorithm on CUDA: the list of `torch.use_deterministic_algorithms` in torch 2.13
REFUSED = (
    *("_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward", "adaptive_max_pool2d_backward"),
    *("avg_pool3d_backward", "fractional_max_pool2d_backward", "max_unpool2d", "reflection_pad1d_backward"),
    *("reflection_pad2d_backward", "upsample_linear1d_backward", "upsample_bilinear2d_backward"),
    *("_upsample_bilinear2d_aa_backward", "upsample_bicubic2d_backward", "grid_sampler_2d_backward"),
    *("nll_loss2d_forward", "_ctc_loss_backward", "put_", "histc", "kthvalue"),
)
_WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "equal")
_CROSSING = ("_to_copy", "copy_", "_copy_from")
_INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")


class OnDevice(Tensor):
    """A tensor on the second device; `held` is where its numbers are."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "OnDevice":
        made = Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype, device=DEVICE
        )
        made.held = held
        return made

    def __repr__(self) -> str:
        return f"OnDevice({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {}, None)


class Watch(TorchDispatchMode):
    """waits: the operations for which the host waited for the device, in order. seen: all operations there."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {}, self)


class _Module(_DummyBackendModule):
    """What autocast and seeding ask of a device's module."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]

    def manual_seed(self, seed: int) -> None:
        """Nothing: its draws are the host's."""


@cache
def _registered() -> None:
    _setup_privateuseone_for_python_backend(backend_module=_Module())


@contextmanager
def second_device() -> Iterator[Watch]:
    """Inside, `DEVICE` can be used."""
    _registered()
    with Watch() as watch:
        yield watch


def _computed(func: Any, args: Any, kwargs: Any, watch: Watch | None) -> Any:
    name = func.overloadpacket.__name__
    given = [each for each in tree_iter((args, kwargs)) if isinstance(each, Tensor)]
    there, asked = any(isinstance(each, OnDevice) for each in given), kwargs.get("device")
    on = there if asked is None else torch.device(asked).type == NAME
    if name in _CROSSING:
        on = isinstance(args[0], OnDevice) if name == "copy_" else on
    else:
        _refuse_mixed(name, args, given, there)
    if there or on:
        _note(name, func, args, given, on, watch)
    wrappers = {id(each.held): each for each in given if isinstance(each, OnDevice)}
    inner = tree_map(_host, (args, {**kwargs, **({"device": "cpu"} if asked is not None else {})}))
    found = func(*inner[0], **inner[1])
    if not on:
        return found
    return tree_map(lambda each: _placed(each, wrappers), found)


def _placed(each: Any, wrappers: dict[int, OnDevice]) -> Any:
    if not isinstance(each, Tensor) or isinstance(each, OnDevice):
        return each
    return wrappers.get(id(each)) or OnDevice(each)


def _host(each: Any) -> Any:
    if isinstance(each, OnDevice):
        return each.held
    if isinstance(each, torch.device) and each.type == NAME:
        return torch.device("cpu")
    return each


def _refuse_mixed(name: str, args: Any, given: list[Tensor], there: bool) -> None:
    """As a GPU does: numbers without a dimension may come from the host, and so may what indexes a tensor there."""
    if not there:
        return
    if name in _INDEXING and isinstance(args[0], OnDevice):
        given = [each for each in given if each.dtype not in (torch.int64, torch.bool)]
    if any(not isinstance(each, OnDevice) and each.dim() for each in given):
        raise RuntimeError(f"{name}: Expected all tensors to be on the same device, but found at least two devices")


def _note(name: str, func: Any, args: Any, given: list[Tensor], on: bool, watch: Watch | None) -> None:
    if name in REFUSED and torch.are_deterministic_algorithms_enabled():
        raise RuntimeError(f"{name} does not have a deterministic implementation, but you set")
    if watch is None:
        return
    watch.seen.add(name)
    from_host = on and name in (*_CROSSING, *_INDEXING) and any(
        not isinstance(each, OnDevice) and each.dim() for each in given
    )
    masked = name in _INDEXING and any(each.dtype == torch.bool for each in tree_iter(args[1]) if each is not None)
    to_host = name in _CROSSING and not on and any(isinstance(each, OnDevice) for each in given)
    if name in _WAITING or from_host or to_host or masked:
        watch.waits.append(name)
