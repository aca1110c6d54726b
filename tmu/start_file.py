"""Weights that training starts from: the file that `model.init` names becomes a digest before anything else is done."""

from functools import lru_cache
from pathlib import Path

from tmu.config import ModelConfig, Params
from tmu.errors import ConfigError
from tmu.files import sha256_file

NOT_REACHED = "what they learned there is not reached by any deletion"


def pinned(root: Path, params: Params) -> Params:
    """The same choices with the digest of the start's file in `model.init_sha256`; as they are without a start.

    root: of the workspace, to which the file's path is relative. A file that is gone is no error where the digest is
    given: a copy may be kept in the artifact store. Raises ConfigError where it is gone otherwise, cannot be read, or
    holds other bytes.
    """
    model = params.model
    if model.init is None:
        return params
    path = root / model.init
    try:
        found = _digest(path, *_facts(path)) if path.is_file() else None
    except OSError as error:
        raise ConfigError(
            f"`model.init`: {model.init} cannot be read.", "Check its path and its permissions."
        ) from error
    if found is None:
        if model.init_sha256:
            return params
        raise ConfigError(
            f"`model.init`: there is no file {model.init} in the workspace.",
            "Put it back, or name weights that were used here before by `model.init_sha256` alone.",
        )
    if model.init_sha256 not in (None, found):
        raise ConfigError(
            f"`model.init`: {model.init} was changed: its SHA-256 is {found}, and `model.init_sha256` expects "
            f"{model.init_sha256}.",
            "Restore the file; for other weights change `model.init_sha256`, too, and train again.",
        )
    return params.model_copy(update={"model": model.model_copy(update={"init_sha256": found})})


def said_of_start(model: ModelConfig) -> str | None:
    """A sentence for plans, reports, model cards and certificates; None without a start."""
    if not model.started:
        return None
    source = f", trained on {model.init_source}" if model.init_source else ""
    return f"The model was started from weights with SHA-256 {model.init_sha256}{source}: {NOT_REACHED}."


def start_in_words(model: ModelConfig) -> dict[str, str]:
    """The same as an entry of a report's provenance; empty without a start."""
    said = said_of_start(model)
    return {"start": said} if said else {}


@lru_cache(maxsize=16)
def _digest(path: Path, *facts: int) -> str:
    """SHA-256 of a file, as long as size, time and inode are the same."""
    return sha256_file(path)


def _facts(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ino
