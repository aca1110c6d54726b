"""A second device for tests on machines without a GPU: real numbers, in memory of the host, with a GPU's rules.

Tensors on it refuse to meet tensors of the host, operations that have no deterministic algorithm on a GPU are refused,
and each time that the host would have to wait for the device is noted. Numbers are those of the processor's kernels,
up to the last bits. torch has room for one such device in a process.
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

NAME = "pretended"
DEVICE = torch.device("privateuseone", 0)  # torch's name until another is registered

# without a deterministic algorithm on CUDA: the list of `torch.use_deterministic_algorithms` in torch 2.13
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


class _Module(_DummyBackendModule):
    """What autocast and seeding ask of a device's module."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]

    def manual_seed(self, seed: int) -> None:
        """Nothing: its draws are the host's."""


@cache
def _registered() -> None:
    """For the rest of the process; not when the module is loaded, since other tests have no use for it."""
    _setup_privateuseone_for_python_backend(NAME, _Module())


class OnDevice(Tensor):
    """A tensor on the second device; `held` is where its numbers are."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "OnDevice":
        made = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        made.held = held
        return made

    def __repr__(self) -> str:
        return f"OnDevice({tuple(self.shape)})"

    @property
    def data(self) -> Tensor:
        """Without its history; set, both sides are."""
        return super().data

    @data.setter
    def data(self, given: "OnDevice") -> None:
        Tensor.data.__set__(self, given)
        self.held = given.held

    def tolist(self) -> Any:
        """By way of the host, as on a GPU; torch's own does not take wrapped tensors."""
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {}, None)


class Watch(TorchDispatchMode):
    """waits: the operations for which the host waited for the device, in order. seen: all operations there.

    faults: what a GPU would have refused.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.faults: list[str] = []
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {}, self)


@contextmanager
def second_device() -> Iterator[Watch]:
    """Inside, `DEVICE` can be used. Raises RuntimeError at the end, for what a GPU would have refused.

    At the end, since torch ends the process for an error of such a device in a backward pass.
    """
    _registered()
    with torch.autograd.set_multithreading_enabled(False), Watch() as watch:
        yield watch
    if watch.faults:
        raise RuntimeError("; ".join(dict.fromkeys(watch.faults)))


def _computed(func: Any, args: Any, kwargs: Any, watch: Watch | None) -> Any:
    name = func.overloadpacket.__name__
    given = [each for each in tree_iter((args, kwargs)) if isinstance(each, Tensor)]
    there, asked = any(isinstance(each, OnDevice) for each in given), kwargs.get("device")
    on = there if asked is None else torch.device(asked).type == NAME
    if name in _CROSSING:
        on = isinstance(args[0], OnDevice) if name == "copy_" else on
    if watch is not None and (there or on):
        watch.seen.add(name)
        watch.faults += _faults(name, args, given, there)
        watch.waits += _waits(name, args, given, on)
    wrappers = {id(each.held): each for each in given if isinstance(each, OnDevice)}
    inner = tree_map(_host, (args, {**kwargs, **({"device": "cpu"} if asked is not None else {})}))
    found = func(*inner[0], **inner[1])
    if not on:
        return found
    return tree_map(lambda each: _placed(each, wrappers), found)


def _placed(each: Any, wrappers: dict[int, OnDevice]) -> Any:
    if not isinstance(each, Tensor) or isinstance(each, OnDevice):
        return each
    known = wrappers.get(id(each))
    return OnDevice(each) if known is None else known


def _host(each: Any) -> Any:
    if isinstance(each, OnDevice):
        return each.held
    if isinstance(each, torch.device) and each.type == NAME:
        return torch.device("cpu")
    return each


def _faults(name: str, args: Any, given: list[Tensor], there: bool) -> list[str]:
    """As a GPU does: numbers without a dimension may come from the host, and so may what indexes a tensor there."""
    refused = name in REFUSED or (name == "cumsum" and args[0].is_floating_point())
    refused = refused or (name == "bincount" and any(each is not None for each in args[1:2]))
    if refused and torch.are_deterministic_algorithms_enabled():
        return [f"{name} does not have a deterministic implementation"]
    if name in _CROSSING or not there:
        return []
    if name in _INDEXING and isinstance(args[0], OnDevice):
        given = [each for each in given if each.dtype not in (torch.int64, torch.bool)]
    mixed = any(not isinstance(each, OnDevice) and each.dim() for each in given)
    return [f"{name}: all tensors are to be on the same device"] if mixed else []


def _waits(name: str, args: Any, given: list[Tensor], on: bool) -> list[str]:
    """The operation, where the host has to wait for what the device has, or for memory of its own to be read."""
    host = any(not isinstance(each, OnDevice) and each.dim() for each in given)
    from_host = on and host and name in (*_CROSSING, *_INDEXING)
    to_host = not on and name in _CROSSING and any(isinstance(each, OnDevice) for each in given)
    masks = name in _INDEXING and any(each.dtype == torch.bool for each in tree_iter(args[1]) if each is not None)
    return [name] if name in _WAITING or from_host or to_host or masks else []
