"""Files of weights: which files are some, and what their tensors are, however the file was written."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, BinaryIO

_MOST_HEADER = 1 << 26
_BLOCK = 1 << 20
_META = "__metadata__"
_PARAMETER = re.compile(r"(^|\.)(weight|bias|running_mean|num_batches_tracked|sums)$")


def is_weights(path: Path) -> bool:
    """Whether a file is a safetensors file with the parameters of a network, or the sums that a head is solved from."""
    try:
        with path.open("rb") as file:
            return any(_PARAMETER.search(name) for name in _header(file)[0])
    except (OSError, ValueError):
        return False


def tensors_of(path: Path) -> str:
    """SHA-256 (hex) over name, type, shape and bytes of the tensors in a safetensors file, by name; empty for no such.

    Two files with the same tensors have it in common, whatever their metadata and the order in which they were written.
    """
    try:
        with path.open("rb") as file:
            header, start = _header(file)
            said = [_told(file, start, name, header[name]) for name in sorted(header) if name != _META]
    except (OSError, ValueError, TypeError, KeyError):
        return ""
    return hashlib.sha256(json.dumps(said).encode()).hexdigest() if said else ""


def _header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """What the file says of its tensors, and where their bytes begin. Empty where it is no safetensors file."""
    size = int.from_bytes(file.read(8), "little")
    head = file.read(min(size, _MOST_HEADER)) if 2 < size < _MOST_HEADER else b""
    header = json.loads(head) if head[:1] == b"{" else {}
    return header, 8 + size


def _told(file: BinaryIO, start: int, name: str, of: dict[str, Any]) -> list[Any]:
    """One tensor. Raises ValueError where its bytes are not all there."""
    begin, end = map(int, of["data_offsets"])
    file.seek(start + begin)
    digest, left = hashlib.sha256(), end - begin
    while left > 0:
        block = file.read(min(left, _BLOCK))
        if not block:
            raise ValueError(f"tensor {name} is cut")
        digest.update(block)
        left -= len(block)
    return [name, of["dtype"], of["shape"], digest.hexdigest()]
