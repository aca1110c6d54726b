"""What a bundle's files are called, for those who need not load the model: without torch."""

from pathlib import Path

from tmu.files import sha256_file

WEIGHTS, ARCH = "weights.safetensors", "arch.json"
START = "start"
"""The kind of artifact that holds weights with which fresh networks begin."""


def weights_digest(folder: Path) -> str:
    """SHA-256 (hex) of the bundle's weights file."""
    return sha256_file(folder / WEIGHTS)
