"""More random numbers out of a record's bits of an epoch."""

from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_LEVELS = 2**16


def draw(bits: Tensor, number: int, below: int | Tensor) -> Tensor:
    """Draw `number` of each record, whole in 0..below-1: int64 (N,)."""
    return (_mixed(bits + _signed((number + 1) * _GOLDEN)) & (2**63 - 1)) % below


def level(bits: Tensor, number: int) -> Tensor:
    """Draw `number` of each record, in -1..1: float32 (N,)."""
    return draw(bits, number, _LEVELS).float() * (2 / (_LEVELS - 1)) - 1


def _mixed(z: Tensor) -> Tensor:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014) on int64, which wraps as unsigned numbers do."""
    z = (z ^ _shifted(z, 30)) * _signed(0xBF58476D1CE4E5B9)
    z = (z ^ _shifted(z, 27)) * _signed(0x94D049BB133111EB)
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, places: int) -> Tensor:
    """To the right, with zeros coming in."""
    return (z >> places) & ((1 << (64 - places)) - 1)


def _signed(value: int) -> int:
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value
