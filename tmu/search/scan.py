"""Finding thousands of needles in bytes in one pass, whatever their number.

Every window of eight bytes is looked up in a table of the needles' first eight bytes; what agrees there is compared in
full. Shorter needles are looked for one by one.
"""

import hashlib
import mmap
from collections.abc import Iterator, Sequence

import numpy as np

from tmu.search.needles import Needle

_WINDOW = 8
_CHUNK = 1 << 24
_BITS = 20
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(64 - _BITS)
Buffer = bytes | bytearray | memoryview | mmap.mmap


class Scanner:
    """All needles of a search."""

    def __init__(self, needles: Sequence[Needle]) -> None:
        self._short = [each for each in needles if len(each.data) < _WINDOW]
        self._by_window: dict[int, list[tuple[Needle, bytes]]] = {}
        for each in needles:
            data = each.data
            if len(data) >= _WINDOW:
                self._by_window.setdefault(int.from_bytes(data[:_WINDOW], "little"), []).append((each, data))
        self._windows = np.array(sorted(self._by_window), np.uint64)
        self._table = np.zeros(1 << _BITS, bool)
        self._table[_slot(self._windows)] = True

    def find(self, data: Buffer) -> list[Needle]:
        """The needles that are in the bytes, each once."""
        found: dict[Needle, None] = {}
        for position in self._candidates(data):
            window = int.from_bytes(bytes(data[position : position + _WINDOW]), "little")
            for needle, wanted in self._by_window[window]:
                if needle not in found and _holds(data, position, needle, wanted):
                    found[needle] = None
        for needle in self._short:
            if any(_holds(data, position, needle, needle.data) for position in _all(data, needle.data)):
                found[needle] = None
        return list(found)

    def _candidates(self, data: Buffer) -> Iterator[int]:
        whole = np.frombuffer(data, np.uint8)
        if not len(self._windows):
            return
        for start in range(0, len(whole) - _WINDOW + 1, _CHUNK):
            piece = whole[start : start + _CHUNK + _WINDOW - 1]
            for shift in range(_WINDOW):
                words = piece[shift : shift + (len(piece) - shift) // _WINDOW * _WINDOW].view("<u8")
                alike = np.flatnonzero(self._table[_slot(words)])
                alike = alike[np.isin(words[alike], self._windows)]
                yield from (start + shift + _WINDOW * int(place) for place in alike)


def _slot(words: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return (words * _MIX) >> _SHIFT


def _all(data: Buffer, wanted: bytes) -> Iterator[int]:
    content = data if isinstance(data, bytes | bytearray | mmap.mmap) else bytes(data)
    place = content.find(wanted)
    while place >= 0:
        yield place
        place = content.find(wanted, place + 1)


def _holds(data: Buffer, position: int, needle: Needle, wanted: bytes) -> bool:
    end = position + len(wanted)
    if bytes(data[position:end]) != wanted:
        return False
    if needle.total:
        start = position - needle.before
        whole = bytes(data[start : start + needle.total]) if start >= 0 else b""
        return hashlib.sha256(whole).hexdigest() == needle.sha256
    if not needle.word:
        return True
    around = bytes(data[max(0, position - 32) : end + 32])
    if b"\0" in around or any(byte < 9 for byte in around):
        return True  # cells of a database lie side by side: letters beside it are no part of the word
    return not (_letter(data, position - 1) or _letter(data, end))


def _letter(data: Buffer, place: int) -> bool:
    if not 0 <= place < len(data):
        return False
    byte = data[place]
    value = byte if isinstance(byte, int) else byte[0]
    return chr(value).isascii() and chr(value).isalnum()
