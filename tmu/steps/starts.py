"""The weights that every fresh network of a workspace starts from: one kept copy, whatever becomes of the user's file.

An original, its golds, its references and its twin problems begin with the same bytes. What those learned elsewhere is
outside of every deletion, so a model of this workspace is refused as a start: a deletion would not reach what it holds.
"""

import shutil
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from tmu.config import Params
from tmu.errors import ModelError, StorageError
from tmu.files import sha256_file
from tmu.models.bundle_files import START, WEIGHTS
from tmu.models.start import Start
from tmu.steps.adopted import own_weights
from tmu.workspace import Workspace


def start_of(workspace: Workspace, params: Params) -> Start | None:
    """What the fresh networks of `params` begin with; None: with random weights alone. Raises as `keep_start`."""
    return read_start(keep_start(workspace, params))


def keep_start(workspace: Workspace, params: Params) -> Path | None:
    """The file of the kept copy, which is made where there is none yet; None without a start.

    Raises StorageError where neither copy nor file is there, ModelError where the file's bytes are others than when it
    was read first, or are those of a model that was trained in this workspace.
    """
    sha256, init = params.model.init_sha256, params.model.init
    if not params.model.started:
        return None
    if sha256 is None:
        raise ValueError("the start has no digest yet")
    _refuse_own(workspace, sha256)  # one that is kept, too: it may have been adopted since
    kept = workspace.artifacts.find(START, sha256)
    if kept is None:
        source = workspace.root / init if init else None
        if source is None or not source.is_file():
            raise StorageError(
                f"The weights to start from ({sha256}) are not here: neither their file nor a sound copy.",
                "Put the file back and name it by `model.init` in params.yaml.",
            )
        with workspace.artifacts.create(START, sha256, {"stage": START, "sha256": sha256}, {}) as folder:
            shutil.copyfile(source, folder / WEIGHTS)
            _refuse_changed(folder / WEIGHTS, sha256)
            read_start(folder / WEIGHTS)
        kept = workspace.artifacts.find(START, sha256)
    return kept / WEIGHTS


def read_start(path: Path | None) -> Start | None:
    """The weights of a file, such as the kept copy; None without one. Raises ModelError where they cannot be read."""
    if path is None:
        return None
    try:
        return Start(sha256_file(path), load_file(path))
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read.", "Check its permissions.") from error
    except SafetensorError as error:
        raise ModelError(
            "The file of weights to start from is damaged, or no safetensors file.",
            "`tmu model convert STATE_DICT.pth OUT.safetensors` makes one of a state dict.",
        ) from error


def _refuse_changed(copy: Path, sha256: str) -> None:
    found = sha256_file(copy)
    if found != sha256:
        raise ModelError(
            f"The weights to start from were changed: SHA-256 {found} instead of {sha256}.",
            "Restore the file, or begin again with the new one.",
        )


def _refuse_own(workspace: Workspace, sha256: str) -> None:
    """What learned records here must not come back as a start, past every deletion of them."""
    if sha256 in own_weights(workspace):
        raise ModelError(
            "The weights to start from are those of a model that was trained or adopted in this workspace.",
            "No deletion would reach what they hold: start from weights that never saw its records.",
        )
