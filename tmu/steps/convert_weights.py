"""Turn a PyTorch state dict into safetensors, in a process that is locked down (`tmu/models/state_dict.py`)."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tmu.config import Config
from tmu.errors import ConfigError, ModelError
from tmu.files import sha256_file, storage_errors

TRUST = (
    "Convert only files that you trust. A state dict is a pickle stream; it is read in restricted mode, in a process "
    "of its own with limits, and nothing else of tmu reads such files."
)
_READER = "tmu.models.state_dict"
_KEPT = ("PATH", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT")  # of the environment
_PATIENCE = 900.0  # seconds; the child's own limit counts seconds of the processor


class Converted(Config):
    """tensors: how many. left_out: names of what stood beside them in the checkpoint."""

    tensors: int
    bytes: int
    sha256: str
    left_out: tuple[str, ...]


def convert_weights(source: Path, target: Path) -> Converted:
    """Write the tensors of `source` to the new file `target`.

    Raises ConfigError where the source is missing or the target there, ModelError for a file that holds anything but
    tensors, or that the reader's process did not survive; then there is no target.
    """
    if not source.is_file():
        raise ConfigError(f"There is no file {source}.", "Name the state dict to convert.")
    if target.exists():
        raise ConfigError(f"{target} is there already.", "Name a new file.")
    if target.suffix != ".safetensors":
        raise ConfigError(f"{target} does not end in .safetensors.", "Name the new file so.")
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with storage_errors(target), tempfile.TemporaryDirectory(dir=target.parent, prefix=".convert-") as scratch:
        made = Path(scratch) / "out.safetensors"
        told = read_apart(source.resolve(), made.resolve())
        made.chmod(0o600)
        digest, size = sha256_file(made), made.stat().st_size
        shutil.move(made, target)
    return Converted(tensors=told["tensors"], bytes=size, sha256=digest, left_out=tuple(told["left_out"]))


def read_apart(source: Path, made: Path) -> dict[str, Any]:
    """What the reader's process says of `source`, whose tensors go into `made`. Raises ModelError where it fails."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(made.parent)}
    command = [sys.executable, "-m", _READER, str(source), str(made)]
    try:
        done = subprocess.run(
            command, env=environment, cwd=made.parent, capture_output=True, text=True, timeout=_PATIENCE
        )
        told = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, ValueError, IndexError) as error:
        raise ModelError(
            "The process that read the file did not end well: the file is damaged, or needs too much memory or time.",
            "Check where the file is from; a state dict of a common size is converted in seconds.",
        ) from error
    if done.returncode:
        raise ModelError(told["what"], told["hint"])
    return dict(told)
